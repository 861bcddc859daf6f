"""kafka-python by its public interface alone: slower, and it knows less; docs/compatibility.md says what."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import PermanentError, QueueUnreachable, SerializationError
from estela_queue_adapter.messages import Headers, Message
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.failures import failure

_CONNECT_TIMEOUT = 2.0  # seconds for one listener
_JOIN_TIMEOUT = 60.0  # seconds that a join of the group may take, before the client is given up
_UNREADABLE = (
    kafka_errors.CorruptRecordError, ArithmeticError, AssertionError, LookupError, ValueError, struct.error,
)  # fmt: skip


class PublicReader:
    """What a reader does with its client, beyond asking it. The thread that polls uses it."""

    def __init__(self, client: Any, committed: Callable[[TopicPartition], int] | None = None) -> None:
        self._client = client
        self._committed = committed
        self._next: dict[TopicPartition, int] = {}
        """Where each partition goes on behind what was handed out."""
        self._moved: set[TopicPartition] = set()
        """Partitions whose position in the client is not to be believed: they are put back before a poll."""
        self._joining_since: float | None = None

    def poll(self, timeout: float, max_messages: int | None = None) -> list[Message]:
        """What came within `timeout` seconds. Raises kafka-python's errors, and our PermanentError.

        An exception of a signal handler (Ctrl-C) moves no position: what the poll was about to return is
        read again.
        """
        self._put_back()
        try:
            fetched = self._fetch(timeout, max_messages)
        except Exception:
            raise
        except BaseException:
            self._interrupted()
            raise
        return self._handed_out(fetched)

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """A join of the group has ended. From the client's own thread."""
        self._joining_since = None

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """A join begins: those that come back in it go on at what is committed. From the client's thread."""
        # A cooperative assignment takes away only a part, and may have nothing to assign after that.
        if set(partitions) == set(self._client.assignment()):
            self._joining_since = time.monotonic()
        for partition in partitions:
            self._next.pop(partition, None)
        self._moved |= set(partitions)

    def is_stuck(self) -> bool:
        """Whether the client has to be replaced, as it forgot that it is joining the group."""
        since = self._joining_since
        return since is not None and time.monotonic() > since + _JOIN_TIMEOUT

    def is_denied(self, topic: str) -> bool:
        """Whether the brokers say that we may not read the topic, as far as the client knows."""
        return False

    def needed_addresses(self) -> set[str] | None:
        """The brokers that this reader cannot do without; None if that cannot be known."""
        return None

    def _fetch(self, timeout: float, max_messages: int | None) -> Mapping[TopicPartition, list[Any]]:
        try:
            records: Mapping[TopicPartition, list[Any]] = self._client.poll(
                timeout_ms=int(timeout * 1000), max_records=max_messages
            )
        except _UNREADABLE as error:
            raise PermanentError(
                "kafka-python cannot read what a broker sent, and its public interface does not say at which "
                f"offset ({type(error).__name__}: {error}); install the version that docs/compatibility.md "
                "names, which reads on behind it"
            ) from error
        return records

    def _handed_out(self, fetched: Mapping[TopicPartition, list[Any]]) -> list[Message]:
        messages = []
        for partition, records in fetched.items():
            if partition in self._moved:  # taken away and given back in the course of this poll
                continue
            messages += [_message(record) for record in records]
            if records:
                self._next[partition] = records[-1].offset + 1
        return messages

    def _interrupted(self) -> None:
        self._moved |= set(self._client.assignment())

    def _put_back(self) -> None:
        """Asks the group's coordinator; raises what `committed` does, and then goes on at the next poll."""
        for partition in self._moved & set(self._client.assignment()):
            offset = self._next.get(partition)
            if offset is None and self._committed is not None:
                offset = self._committed(partition)
            if offset is not None:
                self._client.seek(partition, offset)
            self._moved.discard(partition)


class _Producer(KafkaProducer):  # type: ignore[misc]  # kafka-python has no types
    """Closed by us or with its last reference.

    kafka-python closes it in an `atexit` handler, before those of the user have sent what they send.
    """

    is_ours = True
    """Not in a forked process, where nothing of it is to be closed."""

    def close(self, timeout: float | None = None, **options: Any) -> None:
        """Called by kafka-python alone."""

    def end(self, timeout: float) -> None:
        """Close it. Raises KafkaTimeoutError."""
        if self.is_ours:
            super().close(timeout=timeout)

    def __del__(self) -> None:
        with contextlib.suppress(kafka_errors.KafkaTimeoutError):
            self.end(1.0)


class PublicInterface:
    """What is done for clients; as far as the public interface goes, mostly nothing."""

    can_await_topics = False
    """Whether a client may ask for a topic that is not there, and does not create it."""

    def look_for_brokers(self, listeners: Sequence[str], brokers: Brokers) -> None:
        """Raise QueueUnreachable if no listener takes a connection.

        kafka-python would leave the thread of each attempt behind. It still does if one takes a connection
        and then is no broker.
        """
        for listener in listeners:
            host, _, port = listener.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT).close()
            except OSError as error:
                brokers.failed(listener, failure(error, b""))
            else:
                brokers.answered(listener)
                return
        raise brokers.outage() or QueueUnreachable(f"Kafka at {brokers}: no listener takes a connection")

    def network(self, brokers: Brokers, attempts: list[Any]) -> dict[str, Any]:
        """Options for a client's connections; each that it makes is added to `attempts`."""
        return {}

    def prepare_reader(self, client: Any) -> None:
        """Reading a topic does not create it."""

    def reader(self, client: Any, committed: Callable[[TopicPartition], int] | None = None) -> PublicReader:
        """For polls; `committed` says where the group is."""
        return PublicReader(client, committed)

    def learn(self, client: Any, partitions: Collection[TopicPartition]) -> None:
        """Have a client that has subscribed know these, or it would join its group twice. Blocks for 5 s."""
        with contextlib.suppress(kafka_errors.KafkaTimeoutError):
            client.beginning_offsets(list(partitions), timeout_ms=5_000)

    def partitions(self, client: Any, topic: str, timeout: float) -> set[int] | None:
        """What a broker says now; None if the client has no such question. Raises kafka-python's errors."""
        return None

    def known_partitions(self, client: Any, topic: str) -> set[int] | None:
        """What the client knows without asking."""
        return None

    def topic_id(self, client: Any, topic: str) -> object:
        """What tells a topic from another of the same name; None if it is not known."""
        return None

    @property
    def producer_class(self) -> type[KafkaProducer]:
        """What producers are made of."""
        return _Producer

    def prepare_producer(self, client: Any) -> None:
        """It is ended by us, and an outage takes no whole core, as far as that can be had."""

    def abandon(self, client: Any) -> None:
        """The producer is the parent's, in a forked process."""
        client.is_ours = False

    def close_producer(self, client: Any, timeout: float) -> None:
        """Close it within `timeout` seconds; raises KafkaTimeoutError if not all is delivered by then."""
        client.end(timeout)

    def broker_addresses(self, client: Any) -> set[str] | None:
        """Where a producer's brokers are; None if it does not say."""
        return None

    def sendable(self, headers: Headers) -> list[tuple[str, bytes]]:
        """The headers as a producer takes them; SerializationError for a name that is no text.

        A missing value is sent as an empty one, and bytes of a name that are not UTF-8 as escapes.
        """
        return [(_sendable_name(name), b"" if value is None else value) for name, value in headers]


def _message(record: Any) -> Message:
    return Message(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp / 1000,
        record.key,
        record.value,
        tuple((name, value) for name, value in record.headers),
    )


def _sendable_name(name: str) -> str:
    try:
        return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError as error:
        raise SerializationError(f"the header name {name!r} is no text: {error}") from error
