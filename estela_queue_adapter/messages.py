"""Messages, and where they lie in a topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from typing_extensions import Self

from estela_queue_adapter.errors import MessageRejected, SerializationError
from estela_queue_adapter.serialization import deserialize
from estela_queue_adapter.topic_names import checked_topic

Headers: TypeAlias = Sequence[tuple[str, "bytes | None"]]
"""In their order; a name may come twice, and a value may be missing. A name that is not UTF-8 is decoded with
`surrogateescape`, so that it can be sent on unchanged."""


class Position(NamedTuple):
    """Where reading goes on in one partition: `offset` is that of the next message."""

    topic: str
    partition: int
    offset: int


class Unreadable(bytes):
    """What lies in the queue in place of messages, and can never be read as such: its raw bytes.

    It is the data of one message at the last of the offsets it takes, so that committing that message is
    to be done with all of them.
    """

    first: int
    """The first of the offsets it takes."""
    reason: str
    """Why it cannot be read, for people."""

    def __new__(cls, raw: bytes, first: int, reason: str) -> Self:
        """The bytes, and what is known of them."""
        unreadable = super().__new__(cls, raw)
        unreadable.first = first
        unreadable.reason = reason
        return unreadable


class Message(NamedTuple):
    """One message as it came off the queue. A named tuple, because one is made for every record."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    """Seconds since the epoch, as the queue recorded them."""
    key: bytes | None
    data: bytes | None
    """The bytes as they travelled; None is a tombstone. See `Unreadable`."""
    headers: Headers

    @property
    def value(self) -> Any:
        """The JSON value in `data`; raises SerializationError if there is none."""
        if isinstance(self.data, Unreadable):
            raise SerializationError(f"not a message: {self.data.reason}")
        return None if self.data is None else deserialize(self.data)

    @property
    def next(self) -> Position:
        """The position that commits this message and everything before it."""
        return Position(self.topic, self.partition, self.offset + 1)


class Outgoing(NamedTuple):
    """One message of a group that is published wholly or not at all; None as `data` is a tombstone."""

    topic: str
    data: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    partition: int | None = None
    """Where it has to go, if the topic has that partition; the platform chooses if None."""

    def check(self) -> None:
        """Raise ConfigurationError if no topic can have that name, MessageRejected if it says nothing."""
        checked_topic(self.topic)
        if self.data is None and self.key is None:
            raise MessageRejected(
                f"a message to {self.topic} has neither data nor a key: a tombstone removes what has its key"
            )
