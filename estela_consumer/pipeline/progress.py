"""What has happened so far, counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from estela_consumer.pipeline.activity.topic_activity import TopicActivity
from estela_consumer.pipeline.drain import DrainReport
from estela_consumer.pipeline.writers import WriteResult

COUNTS = ("read", "stored", "present", "superseded", "dead_lettered", "tombstones", "gone")
KINDS = ("stored", "present", "superseded", "dead_lettered")
_MAX_DATASETS = 1_000  # a consumer may run for months, and each job brings datasets of its own


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at one moment."""

    topics: dict[str, dict[str, int]]
    datasets: dict[str, dict[str, int]]
    """`<database>/<collection>` to its counts; `-` for messages that named none. The latest only, in the
    order of their last write."""
    other_datasets: dict[str, int]
    """The counts of all that are not among the most recent ones; together with these they are the total."""
    lag: dict[str, int]
    """Topic to messages still to come, as last asked; at the end those that the group has not committed, and
    without the topics of which the queue does not tell."""
    seconds: float
    drains: dict[str, DrainReport] | None = None
    """By topic; None if nothing was to be drained."""
    stopped: bool = False
    """Whether a signal ended it."""
    recent_datasets: tuple[str, ...] = ()
    """The names in `datasets`, the one that was written to last first."""

    @property
    def total(self) -> dict[str, int]:
        """The counts over all topics."""
        return {name: sum(counts[name] for counts in self.topics.values()) for name in COUNTS}

    @property
    def rate(self) -> float:
        """Messages read a second."""
        return self.total["read"] / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "topics": self.topics,
            "datasets": dict(sorted(self.datasets.items())),
            "other_datasets": self.other_datasets,
            "lag": self.lag,
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
            "stopped": self.stopped,
            "drain": None if self.drains is None else _drain_as_json(self.drains),
        }


def _drain_as_json(drains: dict[str, DrainReport]) -> dict[str, Any]:
    """By topic, and by partition in it; only what there is to say."""
    return {
        "drained": all(report.drained for report in drains.values()),
        "remaining": {topic: report.remaining for topic, report in drains.items() if not report.drained},
        "messages_gone": {topic: report.gone for topic, report in drains.items() if report.gone},
        "committed_beyond_end": {
            topic: sorted(report.committed_beyond_end)
            for topic, report in drains.items()
            if report.committed_beyond_end
        },
        "open_transaction": {
            topic: sorted(report.open_transactions)
            for topic, report in drains.items()
            if report.open_transactions
        },
    }


class Progress:
    """Counters that several threads add to. Its lock is held for each change and for each snapshot.

    `detailed` is for TopicActivity.
    """

    def __init__(
        self, topics: tuple[str, ...], clock: Callable[[], float] = time.monotonic, *, detailed: bool = False
    ) -> None:
        self._clock = clock
        self._started_at = clock()
        self._lock = threading.Lock()
        self.activities = {topic: TopicActivity(detailed=detailed) for topic in topics}
        """What each topic's pipeline does, for whoever looks at it from outside."""
        self._topics: dict[str, Counter[str]] = {topic: Counter() for topic in topics}
        self._datasets: dict[str, list[int]] = {}  # in the order of their last write; the counts of KINDS
        self._other_datasets = [0] * len(KINDS)
        self._lag: dict[str, int] = {}
        self._drains: dict[str, DrainReport] | None = None
        self._stopped = False

    def count_read(self, topic: str, messages: int, tombstones: int) -> None:
        """Count messages taken off the queue."""
        with self._lock:
            self._topics[topic].update(read=messages, tombstones=tombstones)

    def count_written(self, topic: str, result: WriteResult) -> None:
        """Count what became of a batch."""
        with self._lock:
            by_kind: tuple[Mapping[Any, int], ...] = (
                result.stored, result.present, result.superseded, result.dead_lettered
            )  # fmt: skip
            for kind, counts in enumerate(by_kind):
                for dataset, count in counts.items():
                    self._topics[topic][KINDS[kind]] += count
                    self._count_dataset(str(dataset or "-"), kind, count)

    def _count_dataset(self, dataset: str, kind: int, count: int) -> None:
        counts = self._datasets.pop(dataset, None) or [0] * len(KINDS)
        counts[kind] += count
        self._datasets[dataset] = counts
        if len(self._datasets) > _MAX_DATASETS:
            oldest = self._datasets.pop(next(iter(self._datasets)))
            self._other_datasets = [
                old + more for old, more in zip(self._other_datasets, oldest, strict=True)
            ]

    def count_gone(self, topic: str, messages: int) -> None:
        """Count messages that the queue removed before they were read."""
        with self._lock:
            self._topics[topic].update(gone=messages)

    def set_lag(self, topic: str, messages: int) -> None:
        """Note how many messages are still to come."""
        with self._lock:
            self._lag[topic] = messages

    def forget_lag(self) -> None:
        """Note that what was asked for is out of date."""
        with self._lock:
            self._lag.clear()

    def set_outcome(self, drains: dict[str, DrainReport] | None, *, stopped: bool) -> None:
        """Note how far each topic's drain came, if there was one, and whether a signal ended it."""
        with self._lock:
            self._drains, self._stopped = drains, stopped

    def snapshot(self) -> Snapshot:
        """The counters now."""
        with self._lock:
            return Snapshot(
                {topic: {name: counts[name] for name in COUNTS} for topic, counts in self._topics.items()},
                {name: dict(zip(KINDS, counts, strict=True)) for name, counts in self._datasets.items()},
                dict(zip(KINDS, self._other_datasets, strict=True)),
                dict(self._lag),
                self._clock() - self._started_at,
                self._drains,
                self._stopped,
                tuple(reversed(self._datasets)),
            )
