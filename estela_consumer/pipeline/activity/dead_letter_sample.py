"""One dead letter that stands for all of its reason."""

from __future__ import annotations

from typing import NamedTuple

from estela_consumer.dead_letters.rejected_message import RejectedMessage

_VALUE = 300  # characters of a value
_ERROR = 500  # characters of an error


class DeadLetterSample(NamedTuple):
    """Where a message was that became a dead letter, why it did, and how it begins. All text is foreign."""

    partition: int
    offset: int
    time: float
    """When it became one, in seconds since the epoch."""
    error: str
    value: str
    """The beginning, as text."""

    @classmethod
    def of(cls, rejected: RejectedMessage, now: float) -> DeadLetterSample:
        """Short copies, as the message may be large."""
        message, error = rejected
        value = bytes((message.data or b"")[: 4 * _VALUE]).decode(errors="backslashreplace")
        return cls(message.partition, message.offset, now, str(error)[:_ERROR], value[:_VALUE])
