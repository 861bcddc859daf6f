"""The counts of one topic, told batch by batch."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from estela_consumer.pipeline.activity.batch_details import BatchDetails
from estela_consumer.pipeline.activity.dead_letter_sample import DeadLetterSample
from estela_consumer.pipeline.activity.histogram import Histogram, HistogramSnapshot
from estela_consumer.pipeline.batch import Batch
from estela_consumer.pipeline.in_flight import WrittenBatch

COMMIT_RESULTS = ("committed", "refused", "failed")
REBALANCE_EVENTS = ("assigned", "revoked", "lost")

_WRITE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LATENCY_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400)
_BATCH_MESSAGES = (1, 10, 50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 40_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivitySnapshot:
    """One topic at one moment. Times are seconds since the epoch, None for what has not happened."""

    read_bytes: int
    dead_letters: dict[str, int]
    """By reason."""
    samples: dict[str, DeadLetterSample]
    """The latest of each reason."""
    commits: dict[str, int]
    rebalances: dict[str, int]
    partitions: tuple[int, ...]
    """Those that are this consumer's."""
    joined: bool
    """Whether the group has accepted this consumer, with or without a partition for it."""
    in_flight_batches: int
    in_flight_bytes: int
    last_commit: float | None
    last_turn: float | None
    seconds_since_turn: float | None
    """None before the first turn, and after the end."""
    write_duration: HistogramSnapshot
    latency: HistogramSnapshot
    batch_messages: HistogramSnapshot


class _InHand(NamedTuple):
    """A batch that is being written."""

    bytes: int
    details: BatchDetails | None


class _Histograms:
    """Those of one topic."""

    def __init__(self) -> None:
        self.write_duration = Histogram(_WRITE_SECONDS)
        self.latency = Histogram(_LATENCY_SECONDS)
        self.batch_messages = Histogram(_BATCH_MESSAGES)


class TopicActivity:
    """Told by a pipeline what it does, batch by batch; its lock is held for each of these and for a snapshot.

    What costs something for each message is done only if `detailed`: bytes, and times of messages.
    """

    def __init__(
        self,
        *,
        detailed: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._detailed = detailed
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._joined = False
        self._partitions: set[int] = set()
        self._in_hand: deque[_InHand] = deque()
        self._times: dict[str, float] = {}
        self._samples: dict[str, DeadLetterSample] = {}
        self._turned_at: float | None = None  # on the clock; no lock, as it is one step
        self._histograms = _Histograms()

    def turned(self) -> None:
        """Note that the loop goes round."""
        self._turned_at = self._clock()

    def ended(self) -> None:
        """Note that the loop is left: nobody waits for a turn any more."""
        self._turned_at = None

    def submitted(self, batch: Batch) -> None:
        """Note that a batch begins to be written."""
        details = BatchDetails.of(batch) if self._detailed else None
        with self._lock:
            self._in_hand.append(_InHand(batch.bytes, details))
            if details:
                self._counts["read", "bytes"] += details.read_bytes

    def written(self, written: WrittenBatch) -> None:
        """Note that the oldest batch in hand is written."""
        now = self._now()
        with self._lock:
            in_hand = self._in_hand.popleft()
            for reason, count in written.result.reasons.items():
                self._counts["dead_letters", reason.value] += count
            for reason, rejected in written.result.samples.items():
                self._samples[reason.value] = DeadLetterSample.of(rejected, now)
            self._histograms.write_duration.add(written.seconds)
            self._histograms.batch_messages.add(written.batch.messages)
            if in_hand.details:
                self._histograms.latency.add_ages(in_hand.details.timestamps, now)

    def committed(self) -> None:
        """Note a commit."""
        with self._lock:
            self._counts["commits", "committed"] += 1
            self._times["commit"] = self._now()

    def commit_failed(self, result: str) -> None:
        """Note a commit that is to be done again: `refused`, as partitions move, or `failed`."""
        with self._lock:
            self._counts["commits", result] += 1

    def rebalanced(self, event: str, partitions: Collection[int]) -> None:
        """Note that partitions were `assigned`, `revoked` or `lost`."""
        with self._lock:
            self._counts["rebalances", event] += 1
            if event == "assigned":
                self._joined = True
                self._partitions.update(partitions)
                return
            self._partitions.difference_update(partitions)
            if event == "lost":  # and a revocation is followed by an assignment
                self._joined = False

    def snapshot(self) -> ActivitySnapshot:
        """What is so now. Any thread may ask."""
        turned_at = self._turned_at
        since_turn = None if turned_at is None else max(0.0, self._clock() - turned_at)
        with self._lock:
            return ActivitySnapshot(
                read_bytes=self._counts["read", "bytes"],
                dead_letters=self._counted("dead_letters"),
                samples=dict(self._samples),
                commits=dict.fromkeys(COMMIT_RESULTS, 0) | self._counted("commits"),
                rebalances=dict.fromkeys(REBALANCE_EVENTS, 0) | self._counted("rebalances"),
                partitions=tuple(sorted(self._partitions)),
                joined=self._joined,
                in_flight_batches=len(self._in_hand),
                in_flight_bytes=sum(in_hand.bytes for in_hand in self._in_hand),
                last_commit=self._times.get("commit"),
                last_turn=None if since_turn is None else self._now() - since_turn,
                seconds_since_turn=since_turn,
                write_duration=self._histograms.write_duration.snapshot(),
                latency=self._histograms.latency.snapshot(),
                batch_messages=self._histograms.batch_messages.snapshot(),
            )

    def _counted(self, what: str) -> dict[str, int]:
        return {name: count for (kind, name), count in self._counts.items() if kind == what}
