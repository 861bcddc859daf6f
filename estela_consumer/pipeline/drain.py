"""When a topic is drained, and what stands in the way."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from estela_consumer.pipeline.interval import Interval
from estela_queue_adapter import Consumer, Position

_CHECK_INTERVAL = 1.0  # seconds between two questions for how far the group has come
_WAITING_INTERVAL = 30.0  # seconds between two lines about what a drain waits for

logger = logging.getLogger(__name__)


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
    by what that member has committed. Pure: positions and the time are passed in.

    Belongs to the pipeline's thread, or to one for which it waits; `report` may be called from any. It has no
    lock: `report` takes a copy of each part in one step.
    """

    def __init__(self) -> None:
        self._ends: dict[int, int] | None = None  # of the partitions that remain; None before `begin`
        self._positions: dict[int, int] = {}
        self._log_ends: dict[int, int] = {}  # as last asked for
        self._cut_short: set[int] = set()  # or recreated: a position beyond their end counts for nothing
        self._gone: dict[int, int] = {}
        self._blocked: dict[
            int, tuple[int, float]
        ] = {}  # by an open transaction: at which offset, since when
        self._gave_up = False

    @property
    def begun(self) -> bool:
        """Whether the ends are known."""
        return self._ends is not None

    @property
    def done(self) -> bool:
        """Whether nothing remains."""
        return self._ends is not None and not self._ends

    @property
    def over(self) -> bool:
        """Whether nothing remains, or what remains was given up."""
        return self.done or self._gave_up

    def begin(self, positions: Iterable[Position], ends: Iterable[Position]) -> None:
        """Note where each partition ends now, and where the group stood just before."""
        self._ends = {end.partition: end.offset for end in ends}
        self._log_ends = dict(self._ends)
        before = list(positions)
        self._cut_short.update(
            at.partition for at in before if at.offset > self._ends.get(at.partition, at.offset)
        )
        self.advance(before)

    def advance(self, positions: Iterable[Position]) -> None:
        """Note where the group is: everything before these positions is done."""
        for _, partition, offset in positions:
            if not self._ends or partition not in self._ends:
                continue
            if partition in self._cut_short and offset > self._log_ends.get(partition, offset):
                continue  # of what was there before; it is read again as soon as the queue is asked for it
            self._positions[partition] = offset
            if self.reaches_end(partition, offset):
                del self._ends[partition]

    def reaches_end(self, partition: int, offset: int) -> bool:
        """Whether `offset` reaches the end of a partition that remains."""
        return bool(self._ends) and offset >= (self._ends or {}).get(partition, offset + 1)

    def add_gone(self, partition: int, messages: int) -> None:
        """Note that retention removed messages before they were read."""
        self._gone[partition] = self._gone.get(partition, 0) + messages

    def add_cut_short(self, partition: int) -> None:
        """Note that the partition was recreated or cut short; the reader has moved to what is there."""
        self._cut_short.add(partition)

    def compare(self, ends: Iterable[Position], stable_ends: Iterable[Position], now: float) -> None:
        """Compare what remains with the ends of the moment: of all messages, and of those one may read.

        A partition that ends earlier than it did is drained once its new end is reached. One that is read
        up to its stable end while its end lies beyond is blocked by an open transaction.
        """
        remaining = self._ends or {}
        for _, partition, end in ends:
            self._log_ends[partition] = end
            if end < remaining.get(partition, end):
                remaining[partition] = end
                self._cut_short.add(partition)
            if self._positions.get(partition, end) > end:
                del self._positions[partition]
        stable = {end.partition: end.offset for end in stable_ends}
        blocked = {
            partition: stable[partition]
            for partition, end in remaining.items()
            if self._positions.get(partition, -1) >= stable.get(partition, end)
            and stable.get(partition, end) < end
        }
        self._blocked = {
            partition: self._blocked[partition] if self._blocked.get(partition, (-1,))[0] == at else (at, now)
            for partition, at in blocked.items()
        }

    def blocked_for(self, now: float) -> float | None:
        """Seconds for which nothing but open transactions was in the way; None while anything else is."""
        if not self._ends or self._ends.keys() != self._blocked.keys():
            return None
        return now - max(since for _, since in self._blocked.values())

    def give_up(self) -> None:
        """Leave what remains to the next drain."""
        self._gave_up = True

    def __str__(self) -> str:
        """What it waits for."""
        return ", ".join(
            f"partition {partition} at {self._positions.get(partition, '?')} of {end}"
            + (" (an open transaction)" if partition in self._blocked else "")
            for partition, end in (self._ends or {}).items()
        )

    def report(self) -> DrainReport:
        """How far it came. May be called from another thread than the rest."""
        ends = None if self._ends is None else dict(self._ends)
        return DrainReport(
            self.done,
            ends
            and {
                partition: end - min(end, self._positions.get(partition, 0))
                for partition, end in ends.items()
            },
            frozenset(self._cut_short),
            dict(self._gone),
            frozenset(self._blocked) if self._gave_up else frozenset(),
        )


class DrainCheck:
    """Asks the queue now and then how far a drain has come, and gives up on transactions that stay open.

    Threads as `Drain`.
    """

    def __init__(self, consumer: Consumer, max_wait: float | None, now: float) -> None:
        self._consumer = consumer
        self._max_wait = max_wait
        self._drain = Drain()
        self._check_interval = Interval(_CHECK_INTERVAL, last=now)
        self._waiting_interval = Interval(_WAITING_INTERVAL, last=now)

    @property
    def over(self) -> bool:
        """Whether nothing remains, or what remains was given up."""
        return self._drain.over

    def report(self) -> DrainReport:
        """How far it came. Any thread may ask."""
        return self._drain.report()

    def begin_once(self) -> None:
        """Ask where the topic ends, unless that is known. Blocks; raises QueueError."""
        if not self._drain.begun:
            # In this order: while others go on, no position may seem to be beyond an end.
            self._drain.begin(self._consumer.positions(), self._consumer.log_end_positions())

    def is_due(self, now: float) -> bool:
        """Whether the queue should be asked again."""
        return self._check_interval.is_due(now)

    def reaches_end(self, position: Position) -> bool:
        """Whether it reaches the end of a partition that remains."""
        return self._drain.reaches_end(position.partition, position.offset)

    def advance(self, positions: Iterable[Position]) -> None:
        """Note that everything before these positions is done."""
        self._drain.advance(positions)

    def add_gone(self, partition: int, messages: int) -> None:
        """Note that retention removed messages before they were read."""
        self._drain.add_gone(partition, messages)

    def add_cut_short(self, partition: int) -> None:
        """Note that the partition was recreated or cut short; the reader has moved to what is there."""
        self._drain.add_cut_short(partition)

    def ask(self, now: float, *, nothing_in_hand: bool) -> None:
        """Ask where the topic ends now, and see what the drain waits for. Blocks; raises QueueError."""
        if self._drain.done:
            return
        self._drain.compare(self._consumer.log_end_positions(), self._consumer.end_positions(), now)
        self._check_interval.restart(now)  # and not before: if the queue does not answer, it is asked at once
        topic, blocked = self._consumer.subscription.topic, self._drain.blocked_for(now)
        if blocked is not None and self._max_wait is not None and blocked >= self._max_wait:
            self._drain.give_up()
            logger.error(
                "%s: drain gave up after %.0f s, as an open transaction hides the messages behind it: %s. "
                "Have its producer commit or abort it, then drain again.",
                topic, blocked, self._drain, extra={"topic": topic},
            )  # fmt: skip
        elif nothing_in_hand and self._waiting_interval.is_due(now):
            self._waiting_interval.restart(now)
            logger.info("%s: drain is waiting for %s", topic, self._drain, extra={"topic": topic})
