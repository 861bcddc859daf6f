"""A consumer's life: open everything, run a pipeline for each topic, end in good order."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from estela_consumer.dead_letters import DeadLetters, tell_shortened
from estela_consumer.errors import ExitCode, StoreUnreachable, UsageError
from estela_consumer.patience import Patience
from estela_consumer.pipeline import Pipeline, PipelineSettings
from estela_consumer.progress import Progress
from estela_consumer.stores import Store, StoreSettings, open_store
from estela_consumer.writing import BatchWriter, WriterThreads
from estela_queue_adapter import Platform, Producer, Subscription, open_platform
from estela_queue_adapter.errors import ConfigurationError, QueueError, TopicMissing

_TICK = 0.1  # seconds between looks at the threads, and between two pictures of the progress
_CLOSE_TIMEOUT = 5.0  # seconds for the queue's client to let go
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
        self._pipelines: list[Pipeline] = []
        self._errors: list[BaseException] = []
        self.progress = Progress(settings.topics)

    def __call__(self, tick: Callable[[], None] = lambda: None) -> ExitCode:
        """Block until stopped or drained. `tick` is called about ten times a second meanwhile."""
        try:
            platform = open_platform()
            store = open_store(self._settings.store)
            producer = platform.producer()
            self._pipelines = self._open_pipelines(platform, producer, store)
            logger.info("From %s into %s", platform.describe(), store.describe())
        except (ConfigurationError, UsageError) as error:
            logger.error("%s", error)
            return ExitCode.USAGE
        with self._signals():
            self._consume(producer, store, tick)
        return self._exit_code()

    def _consume(self, producer: Producer, store: Store, tick: Callable[[], None]) -> None:
        self._guarded(lambda: self._await_store(store))
        threads = [
            threading.Thread(target=self._guarded, args=(pipeline.run,), name=f"estela-{topic}", daemon=True)
            for topic, pipeline in zip(self._settings.topics, self._pipelines, strict=True)
        ]
        for thread in threads if not self._stopping.is_set() else ():
            thread.start()
        self._wait_for(threads, tick)
        if not any(thread.is_alive() for thread in threads):
            self._guarded(lambda: producer.close(_CLOSE_TIMEOUT))
            store.close()

    def _open_pipelines(self, platform: Platform, producer: Producer, store: Store) -> list[Pipeline]:
        tell_shortened(self._settings.topics)
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
        deadline = float("inf")
        while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
            for thread in threads:
                thread.join(_TICK / len(threads))
            tick()
            if self._stopping.is_set() and deadline == float("inf"):
                deadline = time.monotonic() + self._settings.pipeline.grace + _CLOSE_TIMEOUT
        self._patience.abandoned.set()

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self._stopping.set()
        for pipeline in self._pipelines:
            pipeline.stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def handle(number: int, _frame: FrameType | None) -> None:
            if self._stopping.is_set():
                os._exit(128 + number)  # asked twice: at once; what is not committed is delivered again
            logger.warning(
                "%s: finishing what is in hand; once more ends at once.", signal.Signals(number).name
            )
            self.stop()

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
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
        codes = {_code(error) for error in self._errors}
        if codes:
            return min(codes)
        if self._settings.pipeline.drain and self.progress.snapshot().total["dead_lettered"]:
            return ExitCode.DEAD_LETTERS
        return ExitCode.OK


def _code(error: BaseException) -> ExitCode:
    if isinstance(error, StoreUnreachable):
        return ExitCode.STORE_UNREACHABLE
    if isinstance(error, TopicMissing):
        return ExitCode.TOPIC_MISSING
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    return ExitCode.QUEUE_UNREACHABLE if isinstance(error, QueueError) else ExitCode.FAILED
