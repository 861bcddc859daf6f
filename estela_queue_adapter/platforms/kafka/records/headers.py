"""Headers on their way to Kafka: those too that kafka-python has no words for.

Kafka takes any bytes for a header's name, and a header without a value. kafka-python's producer encodes names
as UTF-8, asks each value for its length, and reads what it wrote if a broker finds it too large.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.producer import record_accumulator
from kafka.record.memory_records import MemoryRecordsBuilder

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.platforms.kafka.records.batches import Batch
from estela_queue_adapter.platforms.kafka.records.fetches import raw_batches
from estela_queue_adapter.platforms.kafka.records.parsing import messages_of


class _Name(str):
    """A name whose bytes are not UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        return super().encode(encoding, errors)


class _NoValue(bytes):
    """Stands for no value until the record is written."""


_NO_VALUE = _NoValue()
_NOWHERE = TopicPartition("", 0)


class _Builder(MemoryRecordsBuilder):  # type: ignore[misc]  # kafka-python has no types
    __slots__ = ()

    def append(self, timestamp: int | None, key: Any, value: Any, headers: Any = None) -> Any:
        if headers and any(content is _NO_VALUE for _, content in headers):
            headers = [(name, None if content is _NO_VALUE else content) for name, content in headers]
        return super().append(timestamp, key, value, headers)


class _Written(NamedTuple):
    """A record as the producer wrote it."""

    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class _Batches:
    """The batches that a producer has to split, as a broker finds them too large."""

    def __init__(self, bytes_data: Any) -> None:
        self._raw = bytes(bytes_data)

    def __iter__(self) -> Iterator[list[_Written]]:
        for raw in raw_batches(self._raw):
            yield [
                _Written(
                    round(message.timestamp * 1000), message.key, message.data, sendable(message.headers)
                )
                for message in messages_of(_NOWHERE, Batch(raw))
            ]


# The producer makes its builder and its reader itself. Ours do the same for everybody else's headers.
record_accumulator.MemoryRecordsBuilder = _Builder
record_accumulator.MemoryRecords = _Batches


def sendable(headers: Headers) -> list[tuple[str, bytes]]:
    """The headers as kafka-python's producer takes them; SerializationError for a name that is no text."""
    return [(_name(name), _NO_VALUE if value is None else value) for name, value in headers]


def _name(name: str) -> str:
    if name.isascii():
        return name
    try:
        name.encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise SerializationError(f"the header name {name!r} is no text: {error}") from error
    return _Name(name)
