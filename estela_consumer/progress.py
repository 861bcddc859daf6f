"""What has happened so far, counted."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from estela_consumer.writing import Written

COUNTS = ("read", "stored", "present", "dead_lettered", "tombstones", "gone")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counters at one moment."""

    topics: dict[str, dict[str, int]]
    datasets: dict[str, dict[str, int]]
    """`<database>/<collection>` to its counts; `-` for messages that named none."""
    lag: dict[str, int]
    """Topic to messages still to come, as last asked."""
    seconds: float

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
            "datasets": self.datasets,
            "lag": self.lag,
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
        }


class Progress:
    """Counters that several threads add to."""

    def __init__(self, topics: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._topics: dict[str, Counter[str]] = {topic: Counter() for topic in topics}
        self._datasets: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._lag: dict[str, int] = {}

    def read(self, topic: str, messages: int, tombstones: int) -> None:
        """Count messages taken off the queue."""
        with self._lock:
            self._topics[topic].update(read=messages, tombstones=tombstones)

    def wrote(self, topic: str, written: Written) -> None:
        """Count what became of a batch."""
        with self._lock:
            for name, counts in (
                ("stored", written.stored),
                ("present", written.present),
                ("dead_lettered", written.dead),
            ):
                for dataset, count in counts.items():
                    self._topics[topic][name] += count
                    self._datasets[str(dataset or "-")][name] += count

    def gone(self, topic: str, messages: int) -> None:
        """Count messages that the queue removed before they were read."""
        with self._lock:
            self._topics[topic].update(gone=messages)

    def lags(self, topic: str, messages: int) -> None:
        """Note how many messages are still to come."""
        with self._lock:
            self._lag[topic] = messages

    def snapshot(self) -> Snapshot:
        """The counters now."""
        with self._lock:
            return Snapshot(
                {topic: {name: counts[name] for name in COUNTS} for topic, counts in self._topics.items()},
                {
                    name: {kind: counts[kind] for kind in ("stored", "present", "dead_lettered")}
                    for name, counts in sorted(self._datasets.items())
                },
                dict(self._lag),
                self._clock() - self._began,
            )
