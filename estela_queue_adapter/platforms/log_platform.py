"""A platform made of a log: for queues of one partition a topic, which one process reads and writes.

Whoever adds such a queue gives a `Log` of five methods. Producers, consumers and loops are here.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from estela_queue_adapter.errors import CommitRefused, ConsumerClosed, ProducerClosed, QueueError
from estela_queue_adapter.interfaces import Consumer, OnDelivery, PartitionListener, Platform, Producer
from estela_queue_adapter.lifecycle import interpreter_ended, watch
from estela_queue_adapter.members import GroupMember
from estela_queue_adapter.messages import Headers, Message, Position
from estela_queue_adapter.platforms.log_reader import LogReader
from estela_queue_adapter.serialization import serialize
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_names import checked_topic
from estela_queue_adapter.topic_reader import Peek, TopicReader

PARTITION = 0
_LOOK_AGAIN = 0.02  # seconds between looks at a log that has nothing new


class Log(ABC):
    """The messages of each topic in their order, and how far each group is. Called from several threads."""

    @abstractmethod
    def append(self, topic: str, data: bytes | None, key: bytes | None, headers: Headers) -> None:
        """Add one message, safely; creates the topic. Raises QueueError."""

    @abstractmethod
    def read(self, topic: str, offset: int, max_messages: int) -> Sequence[Message]:
        """The messages from `offset` on, at once; none if there are none, or no such topic."""

    @abstractmethod
    def end(self, topic: str) -> int:
        """The offset of the next message. Raises TopicMissing."""

    @abstractmethod
    def position(self, group: str, topic: str) -> int:
        """What the group has committed; 0 if nothing."""

    @abstractmethod
    def commit(self, group: str, topic: str, offset: int) -> None:
        """Record durably that the group has done everything before `offset`."""


class _LogProducer(Producer):
    """Appends at once: a message is acknowledged when `send` returns."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._closed = False
        watch(self)

    def get_connection(self) -> bool:
        if self._closed or interpreter_ended():
            raise ProducerClosed("the producer is closed")
        return True

    def send(
        self,
        topic: str,
        data: Any,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        on_delivery: OnDelivery | None = None,
    ) -> None:
        self.get_connection()
        checked_topic(topic)
        value, report = serialize(data), None
        try:
            self._log.append(topic, value, key, headers)
        except QueueError as error:
            if on_delivery is None:
                raise
            report = error
        if on_delivery is not None:
            on_delivery(report)

    def flush(self, timeout: float | None = None) -> None:
        pass

    def close(self, timeout: float = 30.0) -> None:
        self._closed = True

    def end(self, timeout: float) -> None:
        self.close()

    def forked(self) -> None:
        pass


class _Turns:
    """Which consumer reads for each group and topic: the first that asks, until it is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the dictionary
        self._readers: dict[tuple[str, str], object] = {}
        watch(self)

    def take(self, turn: tuple[str, str], reader: object) -> bool:
        """Whether the turn is this reader's now."""
        with self._lock:
            return self._readers.setdefault(turn, reader) is reader

    def is_taken(self, turn: tuple[str, str]) -> bool:
        """Whether some consumer of this process has it."""
        with self._lock:
            return turn in self._readers

    def end(self, timeout: float) -> None:
        """Nothing to do when the interpreter ends."""

    def forked(self) -> None:
        """This is a copy in a forked process: the readers are the parent's; one may have held the lock."""
        self._lock = threading.Lock()
        self._readers.clear()

    def release(self, turn: tuple[str, str], reader: object) -> None:
        """Let the next reader have it."""
        with self._lock:
            if self._readers.get(turn) is reader:
                del self._readers[turn]


class _LogConsumer(Consumer):
    """The one reader of its group and topic once it has polled."""

    def __init__(
        self, log: Log, turns: _Turns, subscription: Subscription, listener: PartitionListener
    ) -> None:
        self._log, self._turns, self._listener = log, turns, listener
        self._subscription = subscription
        self._turn = subscription.group_id, checked_topic(subscription.topic)
        self._offset: int | None = None
        """Where this consumer reads on; None until it is its turn."""
        self._closed = False
        watch(self)

    @property
    def subscription(self) -> Subscription:
        return self._subscription

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        return self.iteration.take(self.fetch, max_messages) or self.fetch(timeout, max_messages)

    def fetch(self, timeout: float, max_messages: int) -> Sequence[Message]:
        deadline = time.monotonic() + timeout
        while True:
            self._check_open()
            if (messages := self._read(max_messages)) or time.monotonic() >= deadline:
                return messages
            time.sleep(min(_LOOK_AGAIN, timeout))

    def _read(self, max_messages: int) -> Sequence[Message]:
        if not self._turns.take(self._turn, self):
            return []
        if self._offset is None:
            self._offset = self._log.position(*self._turn)
            self._listener.partitions_assigned([PARTITION])
        if self.iteration.paused:
            return []
        messages = self._log.read(self._turn[1], self._offset, max_messages)
        if messages:
            self._offset = messages[-1].offset + 1
        return messages

    def commit(self, positions: Iterable[Position]) -> None:
        for position in positions:
            with self.iteration.committing:
                self._check_open()
                if not self._turns.take(self._turn, self):
                    raise CommitRefused("another reader of {} has {}".format(*self._turn))
                self._log.commit(*self._turn, position.offset)
            self.iteration.committed([position])

    def positions(self) -> Sequence[Position]:
        self.end_positions()  # raises if there is no such topic
        offset = self.iteration.next_offset(PARTITION)
        if offset is None:
            offset = self._log.position(*self._turn) if self._offset is None else self._offset
        return [Position(self._turn[1], PARTITION, offset)]

    def end_positions(self) -> Sequence[Position]:
        self._check_open()
        return [Position(self._turn[1], PARTITION, self._log.end(self._turn[1]))]

    def close(self) -> None:
        try:
            self.iteration.close(self.commit)
        finally:
            self._closed = True
            self._turns.release(self._turn, self)

    def end(self, timeout: float) -> None:
        self.close()

    def forked(self) -> None:
        self.iteration.forked()
        self._closed = True

    def _check_open(self) -> None:
        if self._closed or interpreter_ended():
            raise ConsumerClosed(f"the consumer of {self._turn[1]} is closed")


class _LogPeek(Peek):
    def __init__(self, log: Log) -> None:
        self._log = log

    def times(self, positions: Iterable[Position]) -> dict[int, float]:
        first = (self._log.read(topic, offset, 1) for topic, _, offset in positions)
        return {message.partition: message.timestamp for messages in first for message in messages}


class LogPlatform(Platform):
    """A platform without transactions: a subclass gives the log, the settings, and `describe`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._turns = _Turns()

    def producer(self) -> Producer:
        return _LogProducer(self._log)

    def consumer(self, subscription: Subscription, listener: PartitionListener | None = None) -> Consumer:
        return _LogConsumer(self._log, self._turns, subscription, listener or PartitionListener())

    def peek(self, topic: str) -> Peek:
        checked_topic(topic)
        return _LogPeek(self._log)

    def read(self, topic: str) -> Iterator[Message]:
        return self.reader(topic).read_on()

    def reader(self, topic: str, since: float = 0.0) -> TopicReader:
        return LogReader(self._log, checked_topic(topic), since)

    def members(self, subscription: Subscription) -> list[GroupMember] | None:
        taken = self._turns.is_taken((subscription.group_id, checked_topic(subscription.topic)))
        return [GroupMember("", "", (PARTITION,))] if taken else []
