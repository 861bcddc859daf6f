"""A consumer's life: open everything, run a pipeline for each topic, end in good order."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from estela_consumer.dead_letters.publisher import (
    DeadLetterPublisher,
    DeadLetterTopicMissing,
    warn_of_shortened,
)
from estela_consumer.errors import EXIT_MEANINGS, AccessRefused, StoreUnreachable, UsageError
from estela_consumer.monitoring.lag import LagWatch, final_lag
from estela_consumer.monitoring.observation import Observer
from estela_consumer.monitoring.settings import MonitoringSettings
from estela_consumer.pipeline.drain import DrainReport
from estela_consumer.pipeline.in_flight import BatchSlots
from estela_consumer.pipeline.pipeline import Pipeline, PipelineSettings
from estela_consumer.pipeline.progress import Progress
from estela_consumer.pipeline.stop_request import StopRequest
from estela_consumer.pipeline.traffic import TrafficLog
from estela_consumer.pipeline.writer_threads import WriterThreads
from estela_consumer.pipeline.writers import BatchWriter
from estela_consumer.retention import Retention
from estela_consumer.retry import STORE, RetryPolicy
from estela_consumer.stores import Store, StoreSettings, open_store
from estela_consumer.threads import Threads
from estela_pages.address import ListenError
from estela_queue_adapter import Platform, Producer, Subscription, open_platform
from estela_queue_adapter.errors import ConfigurationError, QueueError, TopicMissing
from estela_terminal.exit_codes import ExitCode

if TYPE_CHECKING:
    from estela_consumer.monitoring.monitor import Monitor

_CLOSE_TIMEOUT = 5.0  # seconds for the writers and the clients of queue and store to let go
_LAG_TIMEOUT = 3.0  # seconds of these for the queue to say how much remains
_WRITERS_CLOSE_TIMEOUT = 0.5  # seconds of these for writers that still wait for the store
_RESERVE = 0.5  # seconds of the grace, or a tenth of it, that are kept for the summary and the end
# Each system has some of them.
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
_ADVICE = {
    ExitCode.QUEUE_UNREACHABLE: "Check that the queue is running, and the QUEUE_PLATFORM variables.",
    ExitCode.STORE_UNREACHABLE: "Check that the store is running, and DB_CONNECTION.",
    ExitCode.ACCESS_REFUSED: "Correct the login in QUEUE_PLATFORM_* or DB_CONNECTION, or have it permitted.",
    ExitCode.TOPIC_MISSING: "Check its name. Without --drain, the consumer waits until the topic exists.",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """Everything that `estela-consume` is told."""

    topics: tuple[str, ...]
    group: str = ""
    store: StoreSettings = field(default_factory=StoreSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    max_wait: float = 60.0
    """Seconds after which a drain gives up on a queue or store that is unavailable."""
    auth_max_wait: float | None = None
    """Seconds after which a login or permission that is refused ends it; None: never."""
    monitoring: MonitoringSettings | None = None
    """None: nobody can look at it from outside."""
    log_interval: float = 10.0
    """Seconds between two lines of the log about a topic's messages; 0: none."""
    retention: int | None = None
    """Seconds after which what every group has read is removed from the queue; None: it stays."""
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    """What configures the queue; None: the environment."""


class _Parts(NamedTuple):
    """What a run has opened; a pipeline and its writers for each topic."""

    platform: Platform
    store: Store
    producer: Producer
    pipelines: list[Pipeline]
    writers: list[WriterThreads]

    def close(self) -> None:
        """Let go of everything but the pipelines, which have closed what is theirs. Blocks."""
        for writers in self.writers:
            writers.close(_WRITERS_CLOSE_TIMEOUT / len(self.writers))
        try:
            self.producer.close(_CLOSE_TIMEOUT)
        except QueueError as error:  # whatever was committed is confirmed
            logger.warning("Queue client not closed in good order: %s. Everything committed is safe.", error)
        self.store.close()


class ConsumerService:
    """One run of the consumer, from opening to the exit code.

    `run` is called once, on the main thread, as it handles signals; it only waits there. What it waits for is
    done by threads: one asks for the store, then one for each topic runs its pipeline while writer threads
    write the batches, then one closes everything. `stop` may be called from any thread or a signal handler.
    """

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        grace, draining = settings.pipeline.grace, settings.pipeline.drain
        self._retry = RetryPolicy(
            max_wait=settings.max_wait if draining else None, auth_max_wait=settings.auth_max_wait
        )
        self._stop_request = StopRequest(grace, min(_RESERVE, grace / 10))
        self._signal: signal.Signals | None = None
        self._signal_logged = False
        self._pipelines: list[Pipeline] = []
        self._errors: list[BaseException] = []  # threads append to it
        self._hangs = False
        self.progress = Progress(settings.topics, detailed=settings.monitoring is not None)
        groups = {topic: self._subscription(topic).group_id for topic in settings.topics}
        self._observer = Observer(self.progress, self._retry.outages, groups)

    def run(self, tick: Callable[[], None] = lambda: None) -> ExitCode:
        """Block until stopped or drained. `tick` is called about ten times a second meanwhile."""
        with self._stop_on_signals(), contextlib.ExitStack() as closing:
            try:
                monitor = self._monitor()
                if monitor is not None:
                    closing.callback(monitor.close)
                parts = self._open()
            except (ConfigurationError, UsageError, ListenError) as error:
                logger.error("%s", error)
                return ExitCode.USAGE
            logger.info("Consuming from %s into %s", parts.platform.describe(), parts.store.describe())
            traffic = TrafficLog(self.progress, self._observer.lag_of, self._settings.log_interval)
            with self._watching_lag(parts.platform, monitor):
                self._consume(parts, monitor, lambda: _both(traffic.tick, tick))
            traffic.finish()
        self.progress.set_outcome(self._drain_reports(), stopped=self._signal is not None)
        return self._exit_code()

    @contextlib.contextmanager
    def _watching_lag(self, platform: Platform, monitor: Monitor | None) -> Iterator[None]:
        """Have the lag asked for the log and the terminal; the monitor does so by itself."""
        watches = {}
        if monitor is None:
            for topic in self._settings.topics:
                watches[topic] = LagWatch(platform, self._subscription(topic), only_counts=True)
                watches[topic].start()
            self._observer.lag_watches = watches
        try:
            yield
        finally:
            for watch in watches.values():
                watch.stop()

    @property
    def remaining(self) -> int | None:
        """Messages that a drain has still to read, else those still to come; None if that is not known.

        Any thread may ask.
        """
        if self._settings.pipeline.drain:
            reports = [pipeline.drain_report() for pipeline in self._pipelines]
            remaining = [report.remaining if report else None for report in reports]
            known = [sum(each.values()) for each in remaining if each is not None]
            return sum(known) if known and len(known) == len(remaining) else None
        lags = [self._observer.lag_of(topic) for topic in self._settings.topics]
        return None if None in lags else sum(lag or 0 for lag in lags)

    @property
    def hangs(self) -> bool:
        """Whether a part still waited for its server when time was up: only `os._exit` ends soon then."""
        return self._hangs

    def _monitor(self) -> Monitor | None:
        """What answers those who look from outside, if they may; from now on, whatever is unavailable."""
        if self._settings.monitoring is None:
            return None
        # Its libraries take a tenth of a second to import, which only those pay who want it.
        from estela_consumer.monitoring.monitor import Monitor

        monitor = Monitor(self._settings.monitoring, self._observer)
        monitor.start()
        logger.info("Monitoring at %s: / /livez /readyz /metrics /status.json", monitor.url)
        return monitor

    def _open(self) -> _Parts:
        count = len(self._settings.topics)
        platform = open_platform(environ=self._settings.environ).shared_by(count)
        store = open_store(self._settings.store)
        producer = platform.producer()
        writer = BatchWriter(store, DeadLetterPublisher(producer), self._retry)
        settings, writers, slots = self._settings.pipeline, [], BatchSlots()
        settings = replace(settings, limits=settings.limits.shared_by(count))
        for topic in self._settings.topics:
            writers.append(WriterThreads(writer, settings.writers))
            self._pipelines.append(
                Pipeline(
                    platform,
                    self._subscription(topic),
                    writers[-1],
                    settings,
                    self._retry,
                    self.progress,
                    slots=slots,
                )
            )
        warn_of_shortened(self._settings.topics)  # now that their names are known to be some
        self._observer.queue, self._observer.store = platform.describe(), store.describe()
        self._observer.assignment = platform.assignment
        return _Parts(platform, store, producer, self._pipelines, writers)

    def _subscription(self, topic: str) -> Subscription:
        return Subscription(topic=topic, group=self._settings.group)

    def _consume(self, parts: _Parts, monitor: Monitor | None, tick: Callable[[], None]) -> None:
        if monitor is not None:
            monitor.watch_queue(parts.platform, map(self._subscription, self._settings.topics))
            monitor.watch_group(parts.platform, parts.store)
        if not self._stop_request.is_made:
            self._run_threads({"store": lambda: self._wait_for_store(parts.store)}, tick)
        if not self._stop_request.is_made:
            if monitor is not None:
                monitor.watch_store(parts.store, self._retry)
            retention = self._retention(parts.platform)
            for writers in parts.writers:
                writers.start()
            pipelines = zip(self._settings.topics, parts.pipelines, strict=True)
            self._run_threads({topic: pipeline.run for topic, pipeline in pipelines}, tick)
            if retention is not None:
                retention.stop()
                if self._settings.pipeline.drain and not self._stop_request.is_made:
                    self._run_threads({"retention": retention.prune}, tick)
        self._retry.cancelled.set()
        if monitor is not None:
            monitor.stop_watching()
        self.progress.forget_lag()  # or an old one would stand beside what the drain says
        if not self._hangs:
            lags = self._ask_lags(parts.platform)
            self._run_threads({"close": parts.close}, tick, time.monotonic() + _CLOSE_TIMEOUT)
            until = min(time.monotonic() + _LAG_TIMEOUT, self._stop_request.deadline)
            if not lags.close(lambda: until, tick):
                self._hangs = True  # nothing is lost by it, and the process can end soon

    def _retention(self, platform: Platform) -> Retention | None:
        """What prunes the queue, if it shall be: from now on, or, as a drain is short, once at its end."""
        if self._settings.retention is None:
            return None
        retention = Retention(platform, self._settings.retention)
        if not self._settings.pipeline.drain:
            retention.start()
        return retention

    def _ask_lags(self, platform: Platform) -> Threads:
        """Have the queue asked how much remains, while the rest is closed."""

        def ask(topic: str) -> None:
            lag = final_lag(platform, self._subscription(topic))
            if lag is not None:
                self.progress.set_lag(topic, lag)

        threads = Threads(lambda error: logger.debug("lag not known: %s", error))
        if not any(isinstance(error, QueueError) for error in self._errors):
            for topic in self._settings.topics:
                threads.start(f"lag-{topic}", partial(ask, topic))
        return threads

    def _run_threads(
        self, work: dict[str, Callable[[], None]], tick: Callable[[], None], until: float = math.inf
    ) -> None:
        """Return when all of it is done, or when time is up."""
        threads = Threads(self._fail)
        for name, one in work.items():
            threads.start(name, one)

        def tick_and_answer() -> None:
            tick()
            self._answer_signal()

        if not threads.close(lambda: min(until, self._stop_request.deadline), tick_and_answer):
            self._hangs = True

    def _wait_for_store(self, store: Store) -> None:
        retry = self._retry.cancelled_by(self._stop_request.made)
        try:
            retry.call(store.check, retry.outage(STORE), StoreUnreachable)
            self._observer.store_checked = True
        except StoreUnreachable:
            if not self._stop_request.is_made:
                raise

    def _fail(self, error: BaseException) -> None:
        """Have an error of one part end the others too. Called on that part's thread."""
        self._errors.append(error)
        self.stop()

    def stop(self) -> None:
        """Finish what is in hand and end, within the grace. Safe to call from a signal handler."""
        self._stop_request.make()
        self._observer.stopping = True
        for pipeline in self._pipelines:
            pipeline.stop()

    @contextlib.contextmanager
    def _stop_on_signals(self) -> Iterator[None]:
        def handle(number: int, _frame: FrameType | None) -> None:
            if self._signal is not None:
                os._exit(128 + number)  # asked twice: at once; what is not committed is delivered again
            self._signal = signal.Signals(number)
            self.stop()  # and nothing is logged here: the line that it interrupts may be half written

        # Whoever starts us with nohup means that the end of the terminal is not ours.
        ours = [one for one in _SIGNALS if one.name != "SIGHUP" or signal.getsignal(one) != signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in ours}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _answer_signal(self) -> None:
        """Say once that a signal was received, as its handler may not."""
        if self._signal is not None and not self._signal_logged:
            self._signal_logged = True
            logger.warning(
                "%s received: finishing the batches in hand. A second signal ends the process at once.",
                self._signal.name,
            )

    def _exit_code(self) -> ExitCode:
        for error in self._errors:
            if isinstance(error, DeadLetterTopicMissing):  # which says itself what to do
                logger.error("%s", error)
            elif isinstance(error, (QueueError, StoreUnreachable, AccessRefused)):
                logger.error("%s. %s", error, _ADVICE.get(_code_of(error), ""))
            else:
                logger.error(
                    "estela-consume has a bug, and failed. Nothing was committed that is not stored. Please "
                    "report this:",
                    exc_info=error,
                )
        if self._errors:
            return min(_code_of(error) for error in self._errors)
        code = self._drain_code() if self._settings.pipeline.drain else ExitCode.OK
        if code not in (ExitCode.OK, ExitCode.DEAD_LETTERS):
            logger.error("%s: %s.", code.name, EXIT_MEANINGS[code])
        return code

    def _drain_reports(self) -> dict[str, DrainReport] | None:
        if not self._settings.pipeline.drain:
            return None
        reports = [pipeline.drain_report() or DrainReport() for pipeline in self._pipelines]
        return dict(zip(self._settings.topics, reports, strict=True))

    def _drain_code(self) -> ExitCode:
        """What no later drain would tell comes first, then why this one is not done, then dead letters."""
        reports = (self._drain_reports() or {}).values()
        if any(report.gone for report in reports):
            return ExitCode.MESSAGES_GONE
        if any(report.committed_beyond_end for report in reports):
            return ExitCode.COMMITTED_BEYOND_END
        if self._signal is not None and not all(report.drained for report in reports):
            return ExitCode.STOPPED
        if any(report.open_transactions for report in reports):
            return ExitCode.OPEN_TRANSACTION
        dead_letters = self.progress.snapshot().total["dead_lettered"]
        return ExitCode.DEAD_LETTERS if dead_letters else ExitCode.OK


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()


def _code_of(error: BaseException) -> ExitCode:
    if isinstance(error, AccessRefused):
        return ExitCode.ACCESS_REFUSED
    if isinstance(error, StoreUnreachable):
        return ExitCode.STORE_UNREACHABLE
    if isinstance(error, TopicMissing):
        return ExitCode.TOPIC_MISSING
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.QUEUE_UNREACHABLE if isinstance(error, QueueError) else ExitCode.FAILED
