"""One topic and its group, asked again and again without taking part."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from estela_consumer.status.model import PartitionStatus, Sample, TopicStatus
from estela_queue_adapter import Consumer, Platform, Subscription
from estela_queue_adapter.errors import QueueError, TopicMissing
from estela_queue_adapter.members import GroupMember

_SAMPLES = 180
_SAMPLE_INTERVAL = 5.0  # seconds between two samples: a quarter of an hour in all
_MEMBERS_INTERVAL = 10.0  # seconds
_RATE_INTERVAL = 10.0  # seconds that a rate is of, if there are so many


class TopicWatch:
    """Asks how far the group is. Belongs to one thread."""

    def __init__(
        self, platform: Platform, subscription: Subscription, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` tells seconds since the epoch."""
        self._platform = platform
        self._subscription = subscription
        self._clock = clock
        self._consumer: Consumer | None = None
        self._exists: bool | None = None
        self._partitions: tuple[PartitionStatus, ...] = ()
        self._asked_at: float | None = None
        self._members: tuple[GroupMember, ...] | None = None
        self._members_at = 0.0
        self._totals: deque[tuple[float, int, int]] = deque(maxlen=_SAMPLES)  # done, published
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES)

    def ask(self) -> None:
        """Ask once. Blocks; raises QueueError."""
        if not self._exists:
            [access] = self._platform.examine([self._subscription.topic])
            self._exists = access.partitions > 0
        if self._exists:
            try:
                self._ask_positions()
            except TopicMissing:
                self._exists = False
        now = self._clock()
        if now - self._members_at >= _MEMBERS_INTERVAL:
            members = self._platform.members(self._subscription)
            self._members = None if members is None else tuple(members)
            self._members_at = now

    def note_silence(self) -> None:
        """The queue did not tell: the lines have a gap there."""
        if not self._samples or self._clock() - self._samples[-1].time >= _SAMPLE_INTERVAL:
            self._samples.append(Sample(self._clock(), None, None))

    def status(self) -> TopicStatus:
        """What is known."""
        subscription = self._subscription
        return TopicStatus(
            topic=subscription.topic,
            group=subscription.group_id,
            exists=self._exists,
            partitions=self._partitions,
            asked_at=self._asked_at,
            rate=self._rate(1),
            incoming=self._rate(2),
            members=self._members,
            samples=tuple(self._samples),
        )

    def close(self) -> None:
        """Release what is held. Raises QueueError."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _ask_positions(self) -> None:
        try:
            self._consumer = self._consumer or self._platform.consumer(self._subscription)
            committed = {at.partition: at.offset for at in self._consumer.positions()}
            ends = self._consumer.log_end_positions()
        except TopicMissing:
            raise
        except QueueError:
            self.close()
            raise
        now = self._clock()
        self._partitions = tuple(
            PartitionStatus.between(end.partition, committed.get(end.partition, end.offset), end.offset)
            for end in sorted(ends, key=lambda end: end.partition)
        )
        self._asked_at = now
        end = sum(end.offset for end in ends)
        lag = sum(each.lag for each in self._partitions)
        self._totals.append((now, end - lag, end))
        if not self._samples or now - self._samples[-1].time >= _SAMPLE_INTERVAL:
            self._samples.append(Sample(now, self._rate(1), lag))

    def _rate(self, count: int) -> float | None:
        """Messages a second, of the last seconds; None before there are two answers."""
        if len(self._totals) < 2:
            return None
        latest = self._totals[-1]
        before = next(
            (each for each in reversed(self._totals) if latest[0] - each[0] >= _RATE_INTERVAL),
            self._totals[0],
        )
        elapsed = latest[0] - before[0]
        return max(0.0, (latest[count] - before[count]) / elapsed) if elapsed > 0 else None
