"""From what librdkafka's consumer gives to messages: its errors are some of its messages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any, TypeAlias

from confluent_kafka import OFFSET_STORED, KafkaError
from confluent_kafka import Message as Event
from kafka import TopicPartition

from estela_queue_adapter.errors import QueueError, TopicDenied, TransientError
from estela_queue_adapter.messages import Message
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.librdkafka.assignment import Assignment
from estela_queue_adapter.platforms.kafka.librdkafka.errors import translate
from estela_queue_adapter.platforms.kafka.librdkafka.salvage import read_at
from estela_queue_adapter.platforms.kafka.queries import ANSWER_TIMEOUT_MS, beginning
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.subscription import Subscription

_UNREADABLE = (
    KafkaError._BAD_MSG,
    KafkaError._BAD_COMPRESSION,
    KafkaError._UNDERFLOW,
    KafkaError._NOT_IMPLEMENTED,
    KafkaError.INVALID_MSG,
)
_STOPPING = (  # nothing more comes of the partition before it is told where to go on
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError._LOG_TRUNCATION,
    *_UNREADABLE,
)
_IGNORED = (
    KafkaError._MAX_POLL_EXCEEDED,  # the partitions are lost, as the listener is told; the next poll joins
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # it was deleted: one that appears later is read
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)
_OF_CONNECTIONS = (  # `Health` finds out
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
)
_NOT_TEXT = object()  # in the place of headers of which a name is not UTF-8

Gone: TypeAlias = Callable[[int, int, int], None]
Beginnings: TypeAlias = Callable[[Collection[int]], Mapping[int, int]]


class SessionRefused(Exception):
    """The brokers do not take this session timeout."""


class Intake:
    """Makes messages of one consumer's, in the thread that polls."""

    def __init__(
        self,
        settings: KafkaSettings,
        subscription: Subscription,
        brokers: Brokers,
        assignment: Assignment,
        gone: Gone,
        beginnings: Beginnings,
    ) -> None:
        self._settings = settings
        self._topic = subscription.topic
        self._group = subscription.group_id
        self._brokers = brokers
        self._assignment = assignment
        self._gone = gone
        self._beginnings = beginnings
        self._left: dict[int, int] = {}  # positions at which nothing was any more, by partition
        self._interrupted = False
        self._failure: BaseException | None = None  # for the next poll, as this one has messages

    @contextlib.contextmanager
    def undone_by_interrupts(self) -> Iterator[None]:
        """An exception of a signal handler (Ctrl-C) moves no position: what was taken is read again."""
        before = dict(self._assignment.next)
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self._assignment.next.update(
                (partition, at) for partition, at in before.items() if partition in self._assignment.next
            )
            self._interrupted = True
            raise

    def put_back(self, client: Any) -> None:
        """Before a poll: raise what the last one left, and go back to what it did not hand out."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._interrupted:
            known = {number: at for number, at in self._assignment.next.items() if at >= 0}
            self._assignment.go_on_at(client, known)
            self._interrupted = False

    def take(self, client: Any, events: list[Any], max_messages: int) -> list[Message]:
        """The messages among them. Raises what the others say, at the next poll if there are messages."""
        failure = self._assignment.take_failure()
        headers = _headers_of(events)
        if failure is None and (alike := self._all_messages(events, headers)) is not None:
            return alike
        messages: list[Message] = []
        moved: dict[int, int] = {}  # partitions that go on elsewhere: what follows here is read again
        following, topic = self._assignment.next, self._topic
        for event, named in zip(events, headers, strict=True):
            number = event.partition()
            if number in moved:
                continue
            try:
                if (error := event.error()) is not None:
                    self._on_error(event, error, messages, moved, max_messages)
                elif number in following:
                    offset = event.offset()
                    if named is _NOT_TEXT:
                        moved[number] = offset  # if it cannot be read now
                        moved[number] = self._salvaged(number, offset, messages, 1)
                    else:
                        time = event.timestamp()[1] / 1000
                        messages.append(
                            Message(topic, number, offset, time, event.key(), event.value(), named)
                        )
                        following[number] = offset + 1
            except (QueueError, SessionRefused) as raised:
                failure = failure or raised
        if moved:
            self._assignment.go_on_at(client, moved)
        if failure is not None:
            if not messages or not isinstance(failure, Exception):
                raise failure
            self._failure = failure
        return messages

    def _all_messages(self, events: list[Any], headers: list[Any]) -> list[Message] | None:
        """The messages, if all are such and of partitions that are ours: nearly always, and in half the time.

        None if not, and then nothing is done.
        """
        if any(map(Event.error, events)) or _NOT_TEXT in headers:
            return None
        partitions: list[Any] = [*map(Event.partition, events)]
        offsets: list[Any] = [*map(Event.offset, events)]
        last = dict(zip(partitions, offsets, strict=True))
        following = self._assignment.next
        if not last.keys() <= following.keys():
            return None
        times = [timestamp / 1000 for _, timestamp in map(Event.timestamp, events)]
        fields = zip(
            repeat(self._topic), partitions, offsets, times,
            map(Event.key, events), map(Event.value, events), headers, strict=False,
        )  # fmt: skip
        messages = [*map(tuple.__new__, repeat(Message), fields)]  # what the class does, in half the time
        following.update((partition, offset + 1) for partition, offset in last.items())
        return messages

    def error_of(self, error: KafkaError) -> QueueError:
        """Our error for one of the group's or the topic's."""
        ours = translate(error, self._brokers, reading=True, about=self._group)
        return translate(error, self._brokers, about=self._topic) if isinstance(ours, TopicDenied) else ours

    def _on_error(
        self,
        event: Any,
        error: KafkaError,
        messages: list[Message],
        moved: dict[int, int],
        max_messages: int,
    ) -> None:
        code, number = error.code(), event.partition()
        at = self._assignment.next.get(number, OFFSET_STORED)
        if code in _STOPPING:
            moved[number] = at  # if nobody can say now where it goes on
        if code == KafkaError._PARTITION_EOF:  # behind the marks of transactions too
            if number in self._assignment.next:
                self._assignment.next[number] = event.offset()
        elif code == KafkaError._AUTO_OFFSET_RESET and not _is_offset(event.offset()):
            moved[number] = self._beginnings([number])[number]  # the group is new to this partition
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION):
            if not self._is_told(number, event.offset(), at):
                moved[number] = self._reset(number, event.offset(), error)
        elif code in _UNREADABLE:
            at = event.offset() if at < 0 else at
            moved[number] = self._salvaged(number, at, messages, max_messages)
        elif code == KafkaError.INVALID_SESSION_TIMEOUT:
            raise SessionRefused
        elif code not in _IGNORED and code not in _OF_CONNECTIONS:
            ours = self.error_of(error)
            if code == KafkaError.GROUP_MAX_SIZE_REACHED or not isinstance(ours, TransientError):
                raise ours

    def _is_told(self, number: int, position: int, at: int) -> bool:
        """Whether this was said before we went on elsewhere: librdkafka may say it twice."""
        return at >= 0 and (position < at or (position == self._left.get(number) and position != at))

    def _salvaged(self, number: int, offset: int, messages: list[Message], count: int) -> int:
        found, resumed = read_at(self._settings, self._brokers, self._topic, number, offset, count)
        messages += found
        return resumed

    def _reset(self, number: int, position: int, error: KafkaError) -> int:
        """Go on at the earliest message that is still there, or at the end if that was cut off."""
        partition = TopicPartition(self._topic, number)
        reader = connect_reader(self._settings, self._brokers, None)
        try:
            with translated(self._brokers, reading=True):
                earliest = beginning(reader, partition)
                [end] = reader.end_offsets([partition], timeout_ms=ANSWER_TIMEOUT_MS).values()
        finally:
            reader.close(autocommit=False, timeout_ms=1000)
        is_cut = error.code() == KafkaError._LOG_TRUNCATION
        resumed = min(position, int(end)) if is_cut else earliest
        self._left[number] = position
        self._gone(number, position, resumed)
        return resumed


def _is_offset(offset: int | None) -> bool:
    return offset is not None and offset >= 0


def _headers_of(events: Iterable[Any]) -> list[Any]:
    """Those of each; _NOT_TEXT where a name is not UTF-8, which an event says only the first time."""
    found: list[Any] = []
    following = iter(events)
    while True:
        try:
            found.extend(map(Event.headers, following))
        except SystemError:
            found.append(_NOT_TEXT)
        else:
            return [headers or () for headers in found]
