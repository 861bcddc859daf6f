"""What is so at one moment: what metrics, probes and the state as JSON are made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from estela_consumer.monitoring.closed_jobs import ClosedJobs
from estela_consumer.monitoring.lag import Lag, LagWatch
from estela_consumer.monitoring.store_watch import StoreWatch
from estela_consumer.pipeline.activity.topic_activity import ActivitySnapshot
from estela_consumer.pipeline.progress import Progress, Snapshot
from estela_consumer.retry import DEAD_LETTERS, STORE, Outage, OutageSnapshot

PARTS = ("queue", "store", "dead_letters")


@dataclass(frozen=True, slots=True)
class PartOutage:
    """The outages of one part, and of one topic if the part is the queue; times are seconds."""

    part: str
    topic: str
    """Empty for what all topics share."""
    elapsed: float | None
    """Since the present one began; None if there is none."""
    error: str
    refused: bool
    """Whether it is a refused login, or a missing permission: somebody has to do something."""
    failures: int
    total: float


@dataclass(frozen=True, slots=True)
class TopicObservation:
    """One topic."""

    group: str
    counts: Mapping[str, int]
    """Those of `progress.COUNTS`."""
    activity: ActivitySnapshot
    lag: Lag | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The whole consumer. Times are seconds since the epoch, but for durations."""

    time: float
    started_at: float
    queue: str
    store: str
    assignment: str
    store_checked: bool
    stopping: bool
    topics: Mapping[str, TopicObservation]
    outages: tuple[PartOutage, ...]
    closed_jobs: ClosedJobs
    progress: Snapshot


@dataclass(slots=True)
class Observer:
    """Looks at a consumer. `observe` may be called from any thread, also before anything is opened.

    The fields are set by the service's thread, each in one step.
    """

    progress: Progress
    outages: list[Outage]
    groups: Mapping[str, str]
    """Topic to group."""
    queue: str = ""
    store: str = ""
    assignment: str = ""
    store_checked: bool = False
    stopping: bool = False
    lag_watches: Mapping[str, LagWatch] = field(default_factory=dict)
    """By topic."""
    store_watch: StoreWatch | None = None
    closed_jobs: Callable[[], ClosedJobs] = ClosedJobs
    started_at: float = field(default_factory=time.time)

    def lag_of(self, topic: str) -> int | None:
        """How many messages of the topic are not committed, as last asked; None if that is not known."""
        watch = self.lag_watches.get(topic)
        lag = watch.latest() if watch is not None else None
        return None if lag is None else lag.total

    def observe(self) -> Observation:
        """What is so now."""
        progress = self.progress.snapshot()
        return Observation(
            time=time.time(),
            started_at=self.started_at,
            queue=self.queue,
            store=self.store,
            assignment=self.assignment,
            store_checked=self.store_checked,
            stopping=self.stopping,
            topics={
                topic: TopicObservation(
                    group=self.groups[topic],
                    counts=counts,
                    activity=self.progress.activities[topic].snapshot(),
                    lag=watch.latest() if (watch := self.lag_watches.get(topic)) else None,
                )
                for topic, counts in progress.topics.items()
            },
            outages=tuple(self._outages(progress.topics)),
            closed_jobs=self.closed_jobs(),
            progress=progress,
        )

    def _outages(self, topics: Iterable[str]) -> Iterator[PartOutage]:
        watch = self.store_watch
        for outage in _by_part(list(self.outages), topics):
            yield _watched(outage, watch.snapshot()) if watch and outage.part == "store" else outage


def _watched(known: PartOutage, watched: OutageSnapshot) -> PartOutage:
    """What the writers know of the store, and what was seen while there was nothing to write."""
    both = PartOutage(
        known.part,
        known.topic,
        known.elapsed,
        known.error,
        known.refused,
        known.failures + watched.failures,
        max(known.total, watched.total),
    )
    if known.elapsed is not None or watched.elapsed is None:
        return both
    return replace(both, elapsed=watched.elapsed, error=watched.error, refused=watched.refused)


def _by_part(outages: list[Outage], topics: Iterable[str]) -> Iterable[PartOutage]:
    """One for each topic of the queue, for the store and for the dead letters, whether or not there was one.

    Several that tell of one server are one: whoever waits for the store first, and its writers.
    """
    found = {("queue", topic): PartOutage("queue", topic, None, "", False, 0, 0.0) for topic in topics}
    found |= {(part, ""): PartOutage(part, "", None, "", False, 0, 0.0) for part in PARTS[1:]}
    for each in (outage.snapshot() for outage in outages):
        if each.server == STORE:
            key = ("store", "")
        else:
            key = ("dead_letters", "") if each.used_for == DEAD_LETTERS else ("queue", each.used_for)
        before = found[key]
        now = each if each.elapsed is not None else before
        found[key] = PartOutage(
            *key,
            now.elapsed,
            now.error,
            now.refused,
            before.failures + each.failures,
            before.total + each.total,
        )
    return found.values()
