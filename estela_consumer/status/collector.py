"""Asks queue and store how everything stands, without taking part in anything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import estela_queue_adapter
from estela_consumer.errors import StoreUnreachable
from estela_consumer.status.dead_letter_tally import DeadLetterTally
from estela_consumer.status.job_watch import JobWatch
from estela_consumer.status.model import DatasetStatus, DeadLetterStatus, JobStatus, Status
from estela_consumer.status.outage_log import OutageLog
from estela_consumer.status.topic_watch import TopicWatch
from estela_consumer.stores import Store
from estela_queue_adapter import Platform, Subscription
from estela_queue_adapter.errors import QueueError

QUEUE, STORE = "queue", "store"
NOT_YET = "Dead letters and jobs were not looked at yet"


@dataclass(slots=True)
class _Known:
    """What was found last; None: not looked at yet."""

    store_answers: bool | None = None
    store_exists: bool = False
    dead_letters: tuple[DeadLetterStatus, ...] | None = None
    jobs: tuple[JobStatus, ...] | None = None
    jobs_not_shown: int = 0
    datasets: tuple[DatasetStatus, ...] = field(default=())


class StatusCollector:
    """Looks at the topics of a group, their dead letters, the jobs and the store.

    It joins no group, commits nothing and creates nothing. `collect` belongs to one thread.
    """

    def __init__(
        self,
        platform: Platform,
        store: Store,
        topics: Sequence[str],
        *,
        jobs_topic: str,
        group: str = "",
        settings: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` tells seconds since the epoch; `settings` are shown. Raises ConfigurationError.

        Without a `jobs_topic` nothing is known of jobs.
        """
        self._platform = platform
        self._store = store
        self._settings = settings or {}
        self._clock = clock
        subscriptions = [Subscription(topic=topic, group=group) for topic in topics]
        self._topics = [TopicWatch(platform, each, clock) for each in subscriptions]
        self._tallies = [DeadLetterTally(platform, topic) for topic in topics]
        self._jobs = (
            JobWatch(platform, store, jobs_topic=jobs_topic, group=group, clock=clock) if jobs_topic else None
        )
        self._outages = OutageLog(clock)
        self._known = _Known()

    def collect(self) -> Status:
        """Ask everything once; what does not answer is told as an outage. Blocks, for a minute at worst."""
        self._ask_store()
        try:
            self._ask_queue()
        except QueueError as error:
            self._outages.failed(QUEUE, error)
            for topic in self._topics:
                topic.note_silence()
        else:
            self._outages.succeeded(QUEUE)
        return self._status()

    def initial(self) -> Status:
        """What is known before the first look: nothing, and it says so."""
        return self._status()

    def close(self) -> None:
        """Release what is held. Blocks for some seconds at most."""
        for topic in self._topics:
            with contextlib.suppress(QueueError):  # nothing was to be committed
                topic.close()
        for tally in self._tallies:
            tally.close()
        if self._jobs is not None:
            self._jobs.close()

    def _ask_store(self) -> None:
        try:
            self._known.store_exists = self._store.examine().exists
        except StoreUnreachable as error:
            self._known.store_answers = False
            self._outages.failed(STORE, error)
        else:
            self._known.store_answers = True
            self._outages.succeeded(STORE)

    def _ask_queue(self) -> None:
        for topic in self._topics:
            topic.ask()
        for tally in self._tallies:
            tally.read_on()
        self._known.dead_letters = tuple(each for tally in self._tallies for each in tally.status())
        self._known.jobs = ()
        if self._jobs is not None:
            self._ask_jobs(self._jobs)

    def _ask_jobs(self, jobs: JobWatch) -> None:
        jobs.read_on()
        if self._known.store_answers and self._known.store_exists:
            try:
                jobs.verify()
            except StoreUnreachable as error:
                self._outages.failed(STORE, error)
        self._known.jobs = tuple(jobs.status())
        self._known.jobs_not_shown = jobs.not_shown
        self._known.datasets = tuple(jobs.datasets())

    def _status(self) -> Status:
        known = self._known
        return Status(
            time=self._clock(),
            version=estela_queue_adapter.__version__,
            queue=self._platform.describe(),
            store=self._store.describe(),
            store_answers=known.store_answers,
            topics=tuple(topic.status() for topic in self._topics),
            outages=self._outages.present,
            past_outages=self._outages.past,
            dead_letters=known.dead_letters or (),
            jobs=known.jobs or (),
            jobs_not_shown=known.jobs_not_shown,
            datasets=known.datasets,
            datasets_of="messages published by jobs that ended within a day",
            settings=self._settings,
            unknown=tuple(self._unknown()),
        )

    def _unknown(self) -> list[str]:
        return [NOT_YET] if self._known.jobs is None else []
