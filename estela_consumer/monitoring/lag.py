"""How far a consumer group is behind, asked on connections that do nothing else."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from estela_queue_adapter import Consumer, Platform, Position, Subscription
from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.topic_reader import Peek

_INTERVAL = 2.0  # seconds between two questions
_OUTDATED = 30.0  # seconds after which an answer says nothing about now

logger = logging.getLogger(__name__)


def final_lag(platform: Platform, subscription: Subscription) -> int | None:
    """The offsets between what the group has committed and the topic's end; None if the queue does not tell.

    What was delivered and not committed counts, as does what an open transaction hides. To be asked once the
    group's own member has left. Blocks.
    """
    try:
        consumer = platform.consumer(subscription)  # it never polls, so it joins no group
        try:
            return sum(group_lag(consumer).values())
        finally:
            _close(consumer)
    except QueueError as error:
        logger.debug("%s: lag not known at the end: %s", subscription.topic, error)
        return None


def group_lag(consumer: Consumer) -> dict[Position, int]:
    """For each position that the group has committed, the offsets between it and the partition's end.

    The consumer must never have polled. Blocks; raises QueueError.
    """
    committed = {at.partition: at for at in consumer.positions()}
    ends = consumer.log_end_positions()
    return {
        at: max(0, end.offset - at.offset) for end in ends if (at := committed.get(end.partition)) is not None
    }


@dataclass(frozen=True, slots=True)
class Lag:
    """What the queue said of a topic."""

    partitions: dict[int, int]
    """Messages that the group has not committed, by partition."""
    asked_at: float
    """Seconds since the epoch."""
    times: dict[int, float] = field(default_factory=dict)
    """When the first of these messages was published, by partition; not all queues tell of all."""

    @property
    def total(self) -> int:
        """Of all partitions."""
        return sum(self.partitions.values())

    @property
    def oldest(self) -> float | None:
        """When the oldest of these messages was published; None if there is none, or it is not told."""
        return min(self.times.values(), default=None)


class LagWatch:
    """Asks every two seconds how far the group of one topic is behind, from `start` to `stop`.

    On a thread and a connection of its own, as an answer may take ten seconds. `latest` may be asked by any
    thread: it is one attribute, set in one step.
    """

    def __init__(
        self,
        platform: Platform,
        subscription: Subscription,
        clock: Callable[[], float] = time.monotonic,
        *,
        only_counts: bool = False,
    ) -> None:
        """`only_counts`: begin when the first two seconds are over, and do not look how old the lag is."""
        self._platform = platform
        self._only_counts = only_counts
        self._subscription = subscription
        self._clock = clock
        self._answer: tuple[float, Lag] | None = None  # and when it came, on the clock
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to ask. Call it once."""
        name = f"estela-lag-watch-{self._subscription.topic}"
        threading.Thread(target=self._watch, name=name, daemon=True).start()

    def stop(self) -> None:
        """Ask no more. The thread ends when its last question is answered; it is not waited for."""
        self._stopped.set()

    def latest(self) -> Lag | None:
        """The latest answer; None if there is none of the last 30 s."""
        answer = self._answer
        return None if answer is None or self._clock() - answer[0] > _OUTDATED else answer[1]

    def _watch(self) -> None:
        with contextlib.ExitStack() as closing:
            consumer = peek = None
            if self._only_counts:
                self._stopped.wait(_INTERVAL)
            while not self._stopped.is_set():
                try:
                    if consumer is None or peek is None:
                        consumer = self._platform.consumer(self._subscription)
                        closing.callback(_close, consumer)
                        peek = self._platform.peek(self._subscription.topic)
                        closing.callback(_close, peek)
                    self._ask(consumer, peek)
                except QueueError as error:  # the pipeline meets the same one, and tells it
                    logger.debug("%s: lag not known: %s", self._subscription.topic, error)
                self._stopped.wait(_INTERVAL)

    def _ask(self, consumer: Consumer, peek: Peek) -> None:
        behind = group_lag(consumer)
        now, asked_at = self._clock(), time.time()
        unread = [] if self._only_counts else [at for at, lag in behind.items() if lag]
        try:
            times = peek.times(unread) if unread else {}
        except QueueError as error:
            logger.debug("%s: the age of the lag is not known: %s", self._subscription.topic, error)
            times = {}
        self._answer = now, Lag({at.partition: lag for at, lag in behind.items()}, asked_at, times)


def _close(asker: Consumer | Peek) -> None:
    try:
        asker.close()
    except QueueError as error:
        logger.debug("What asked for the lag not closed in good order: %s", error)
