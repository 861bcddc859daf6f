"""A consumer's life: open everything, run a pipeline for each topic, end in good order."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from estela_consumer.dead_letters.publisher import DeadLetters, warn_of_shortened
from estela_consumer.errors import EXIT_MEANINGS, StoreUnreachable, UsageError
from estela_consumer.patience import Patience
from estela_consumer.pipeline.drain import DrainReport
from estela_consumer.pipeline.pipeline import Pipeline, PipelineSettings
from estela_consumer.pipeline.progress import Progress
from estela_consumer.pipeline.writers import BatchWriter, WriterThreads
from estela_consumer.stores import Store, StoreSettings, open_store
from estela_queue_adapter import Platform, Producer, Subscription, open_platform
from estela_queue_adapter.errors import ConfigurationError, QueueError, TopicMissing
from estela_terminal.exit_codes import ExitCode

_TICK = 0.1  # seconds between looks at the threads, and between two pictures of the progress
_CLOSE_TIMEOUT = 5.0  # seconds for the clients of queue and store to let go
_ENDING = 0.5  # seconds of the grace, or a tenth of it, that are kept for the summary and the end
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ADVICE = {
    ExitCode.QUEUE_UNREACHABLE: "Is the queue running, and are the QUEUE_PLATFORM variables right?",
    ExitCode.STORE_UNREACHABLE: "Is the store running, and is DB_CONNECTION right?",
    ExitCode.TOPIC_MISSING: "Check the name; without --drain it would be waited for.",
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
    """Seconds after which a drain gives up on a queue or store that is away."""


class Run:
    """One run of the consumer, from opening to the exit code."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        draining = settings.pipeline.drain
        self._patience = Patience(max_wait=settings.max_wait if draining else None)
        self._stopping = threading.Event()
        self._end_by = math.inf  # on the monotonic clock, once it is stopping
        self._signal: signal.Signals | None = None
        self._told_signal = False
        self._pipelines: list[Pipeline] = []
        self._errors: list[BaseException] = []
        self._hangs = False
        self.progress = Progress(settings.topics)

    def __call__(self, tick: Callable[[], None] = lambda: None) -> ExitCode:
        """Block until stopped or drained. `tick` is called about ten times a second meanwhile."""
        with self._signals():
            try:
                platform = open_platform()
                store = open_store(self._settings.store)
                producer = platform.producer()
                self._pipelines = self._open_pipelines(platform, producer, store)
            except (ConfigurationError, UsageError) as error:
                logger.error("%s", error)
                return ExitCode.USAGE
            logger.info("From %s into %s", platform.describe(), store.describe())
            self._consume(producer, store, tick)
        self.progress.ended(self._drains(), stopped=self._signal is not None)
        return self._exit_code()

    @property
    def hangs(self) -> bool:
        """Whether a part still waited for its server when time was up: only `os._exit` ends soon then."""
        return self._hangs

    def _consume(self, producer: Producer, store: Store, tick: Callable[[], None]) -> None:
        """Each wait for a server is a thread's, so that a signal is obeyed whatever hangs."""
        if not self._stopping.is_set():
            self._wait_for([self._thread("store", lambda: self._await_store(store))], tick)
        topics = () if self._stopping.is_set() else zip(self._settings.topics, self._pipelines, strict=True)
        self._wait_for([self._thread(topic, pipeline.run) for topic, pipeline in topics], tick)
        self._patience.abandoned.set()
        if not self._hangs:
            self._end_by = min(self._end_by, time.monotonic() + _CLOSE_TIMEOUT)
            self._wait_for([self._thread("close", lambda: _let_go(producer, store))], tick)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(work,), name=f"estela-{name}", daemon=True)
        thread.start()
        return thread

    def _open_pipelines(self, platform: Platform, producer: Producer, store: Store) -> list[Pipeline]:
        warn_of_shortened(self._settings.topics)
        writer = BatchWriter(store, DeadLetters(producer), self._patience)
        return [
            Pipeline(
                platform,
                Subscription(topic=topic, group=self._settings.group),
                WriterThreads(writer, self._settings.pipeline.writers),
                self._settings.pipeline,
                self._patience,
                self.progress,
            )
            for topic in self._settings.topics
        ]

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do one part of the work; an error ends the other parts too."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (it is told, and becomes the exit code)
            self._errors.append(error)
            self.stop()

    def _await_store(self, store: Store) -> None:
        patience = replace(self._patience, abandoned=self._stopping)
        try:
            patience.insist(store.check, patience.outage("The store is away"), StoreUnreachable)
        except StoreUnreachable:
            if not self._stopping.is_set():
                raise

    def _wait_for(self, threads: list[threading.Thread], tick: Callable[[], None]) -> None:
        """Return when all of them have ended, or when time is up."""
        while any(thread.is_alive() for thread in threads) and time.monotonic() < self._end_by:
            for thread in threads:
                thread.join(_TICK / len(threads))
            tick()
            if self._signal is not None and not self._told_signal:
                self._told_signal = True
                logger.warning("%s: finishing what is in hand; once more ends at once.", self._signal.name)
        self._hangs = self._hangs or any(thread.is_alive() for thread in threads)

    def stop(self) -> None:
        """Finish what is in hand and end, within the grace. Safe to call from a signal handler."""
        if not self._stopping.is_set():
            grace = self._settings.pipeline.grace
            self._end_by = time.monotonic() + grace - min(_ENDING, grace / 10)
            self._stopping.set()
        for pipeline in self._pipelines:
            pipeline.stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def handle(number: int, _frame: FrameType | None) -> None:
            if self._signal is not None:
                os._exit(128 + number)  # asked twice: at once; what is not committed is delivered again
            self._signal = signal.Signals(number)
            self.stop()  # and nothing is logged here: the line that it interrupts may be half written

        # Whoever starts us with nohup means that the end of the terminal is not ours.
        wanted = [it for it in _SIGNALS if it is not signal.SIGHUP or signal.getsignal(it) != signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _exit_code(self) -> ExitCode:
        for error in self._errors:
            if isinstance(error, (QueueError, StoreUnreachable)):
                logger.error("%s. %s", error, _ADVICE.get(_code(error), ""))
            else:
                logger.error(
                    "This is a fault of estela-consume; nothing was committed that is not stored.",
                    exc_info=error,
                )
        if self._errors:
            return min(_code(error) for error in self._errors)
        code = self._drain_code() if self._settings.pipeline.drain else ExitCode.OK
        if code not in (ExitCode.OK, ExitCode.DEAD_LETTERS):
            logger.error("%s: %s.", code.name, EXIT_MEANINGS[code])
        return code

    def _drains(self) -> dict[str, DrainReport] | None:
        if not self._settings.pipeline.drain:
            return None
        reports = [pipeline.drained() or DrainReport() for pipeline in self._pipelines]
        return dict(zip(self._settings.topics, reports, strict=True))

    def _drain_code(self) -> ExitCode:
        """What no later drain would tell comes first, then why this one is not done, then dead letters."""
        reports = (self._drains() or {}).values()
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


def _let_go(producer: Producer, store: Store) -> None:
    try:
        producer.close(_CLOSE_TIMEOUT)
    except QueueError as error:  # whatever was committed is confirmed
        logger.warning("The queue's client did not end in good order: %s", error)
    store.close()


def _code(error: BaseException) -> ExitCode:
    if isinstance(error, StoreUnreachable):
        return ExitCode.STORE_UNREACHABLE
    if isinstance(error, TopicMissing):
        return ExitCode.TOPIC_MISSING
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.QUEUE_UNREACHABLE if isinstance(error, QueueError) else ExitCode.FAILED
