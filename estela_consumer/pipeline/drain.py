"""When a topic is drained, and what stands in the way. Pure: positions and the time are passed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from estela_queue_adapter import Position


@dataclass(frozen=True, slots=True)
class DrainReport:
    """How far a drain of one topic came; everything is by partition."""

    drained: bool = False
    remaining: dict[int, int] | None = None
    """Offsets between the group and the end of the drain; None if it never got to know the ends."""
    committed_beyond_end: frozenset[int] = frozenset()
    """Partitions that ended before the group's position: recreated, or cut short."""
    gone: dict[int, int] = field(default_factory=dict)
    """Messages that the queue removed before the group had read them."""
    open_transactions: frozenset[int] = frozenset()
    """Partitions in which a transaction that stayed open was in the way until the drain gave up."""


class Drain:
    """Over once the group as a whole has passed, in each partition, the end that was there at the start.

    What others produce afterwards does not move these ends. A partition of another member of the group counts
    by what that member has committed.
    """

    def __init__(self) -> None:
        self._remaining: dict[int, int] | None = None  # partition -> its end
        self._at: dict[int, int] = {}
        self._log_ends: dict[int, int] = {}  # as last asked for
        self._cut: set[int] = set()  # recreated or cut short: a position beyond their end counts for nothing
        self._gone: dict[int, int] = {}
        self._blocked: dict[int, tuple[int, float]] = {}  # by an open transaction: where, and since when
        self._gave_up = False

    @property
    def begun(self) -> bool:
        """Whether the ends are known."""
        return self._remaining is not None

    @property
    def done(self) -> bool:
        """Whether nothing remains."""
        return self._remaining is not None and not self._remaining

    @property
    def over(self) -> bool:
        """Whether nothing remains, or what remains was given up."""
        return self.done or self._gave_up

    def begin(self, positions: Iterable[Position], ends: Iterable[Position]) -> None:
        """Note where each partition ends now, and where the group stood just before."""
        self._remaining = {end.partition: end.offset for end in ends}
        self._log_ends = dict(self._remaining)
        at = list(positions)
        self._cut.update(p.partition for p in at if p.offset > self._remaining.get(p.partition, p.offset))
        self.reached(at)

    def reached(self, positions: Iterable[Position]) -> None:
        """Note where the group is: nothing before these remains to be done."""
        for _, partition, offset in positions:
            if not self._remaining or partition not in self._remaining:
                continue
            if partition in self._cut and offset > self._log_ends.get(partition, offset):
                continue  # of what was there before; it is read anew as soon as the queue is asked for it
            self._at[partition] = offset
            if self.is_end(partition, offset):
                del self._remaining[partition]

    def is_end(self, partition: int, offset: int) -> bool:
        """Whether `offset` reaches the end of a partition that remains."""
        return bool(self._remaining) and offset >= (self._remaining or {}).get(partition, offset + 1)

    def lost(self, partition: int, messages: int) -> None:
        """Note that retention removed messages before they were read."""
        self._gone[partition] = self._gone.get(partition, 0) + messages

    def cut_short(self, partition: int) -> None:
        """Note that the partition was recreated or cut short; the reader has moved to what is there."""
        self._cut.add(partition)

    def look(self, ends: Iterable[Position], stable_ends: Iterable[Position], now: float) -> None:
        """Compare what remains with the ends of the moment: of all messages, and of those one may read.

        A partition that ends earlier than it did is drained once its new end is reached. One that is read
        up to its stable end while its end lies beyond is blocked by an open transaction.
        """
        remaining = self._remaining or {}
        for _, partition, end in ends:
            self._log_ends[partition] = end
            if end < remaining.get(partition, end):
                remaining[partition] = end
                self._cut.add(partition)
            if self._at.get(partition, end) > end:
                del self._at[partition]
        stable = {end.partition: end.offset for end in stable_ends}
        blocked = {
            partition: stable[partition]
            for partition, end in remaining.items()
            if self._at.get(partition, -1) >= stable.get(partition, end) and stable.get(partition, end) < end
        }
        self._blocked = {
            partition: self._blocked[partition] if self._blocked.get(partition, (-1,))[0] == at else (at, now)
            for partition, at in blocked.items()
        }

    def blocked_for(self, now: float) -> float | None:
        """Seconds for which nothing but open transactions was in the way; None while anything else is."""
        if not self._remaining or self._remaining.keys() != self._blocked.keys():
            return None
        return now - max(since for _, since in self._blocked.values())

    def give_up(self) -> None:
        """Leave what remains to the next drain."""
        self._gave_up = True

    def __str__(self) -> str:
        """What it waits for."""
        remaining = dict(self._remaining or {})
        return ", ".join(
            f"partition {partition} at {self._at.get(partition, '?')} of {end}"
            + (" (an open transaction)" if partition in self._blocked else "")
            for partition, end in remaining.items()
        )

    def report(self) -> DrainReport:
        """How far it came. May be called from another thread than the rest."""
        remaining = None if self._remaining is None else dict(self._remaining)
        return DrainReport(
            self.done,
            remaining
            and {
                partition: end - min(end, self._at.get(partition, 0)) for partition, end in remaining.items()
            },
            frozenset(self._cut),
            dict(self._gone),
            frozenset(self._blocked) if self._gave_up else frozenset(),
        )
