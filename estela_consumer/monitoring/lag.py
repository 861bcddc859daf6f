"""How far a consumer group is behind, asked on connections that do nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from estela_queue_adapter import Consumer, Platform, Subscription
from estela_queue_adapter.errors import QueueError

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


def group_lag(consumer: Consumer) -> dict[int, int]:
    """For each partition the offsets between what the group has committed and the end.

    The consumer must never have polled. Blocks; raises QueueError.
    """
    committed = {at.partition: at.offset for at in consumer.positions()}
    ends = consumer.log_end_positions()
    return {end.partition: max(0, end.offset - committed.get(end.partition, end.offset)) for end in ends}


@dataclass(frozen=True, slots=True)
class Lag:
    """What the queue said of a topic."""

    partitions: dict[int, int]
    """Messages that the group has not committed, by partition."""
    asked_at: float
    """Seconds since the epoch."""

    @property
    def total(self) -> int:
        """Of all partitions."""
        return sum(self.partitions.values())


class LagWatch:
    """Asks every two seconds how far the group of one topic is behind, from `start` to `stop`.

    On a thread and a connection of its own, as an answer may take ten seconds. `latest` may be asked by any
    thread: it is one attribute, set in one step.
    """

    def __init__(
        self, platform: Platform, subscription: Subscription, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._platform = platform
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
        consumer = None
        while not self._stopped.is_set():
            try:
                consumer = consumer or self._platform.consumer(self._subscription)
                partitions = group_lag(consumer)
                self._answer = (self._clock(), Lag(partitions, time.time()))
            except QueueError as error:  # the pipeline meets the same one, and tells it
                logger.debug("%s: lag not known: %s", self._subscription.topic, error)
            self._stopped.wait(_INTERVAL)
        if consumer is not None:
            _close(consumer)


def _close(consumer: Consumer) -> None:
    try:
        consumer.close()
    except QueueError as error:
        logger.debug("Consumer that asked for the lag not closed in good order: %s", error)
