"""Reading the records of a fetch: kafka-python's way of it, without its two objects for each record.

They would be a good part of what a drain costs. This goes through the same bytes and makes our message at
once: where a record has neither key nor headers, as nearly all have, a regular expression finds what is in it
and reads no number twice. All else (checksums, compression, aborted transactions) stays kafka-python's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.legacy_records import LegacyRecordBatch
from kafka.record.util import decode_varint

from estela_queue_adapter.interfaces import Headers, Message

_MAGIC = 2  # the format of records since Kafka 0.11
_NO_HEADERS = 0
_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
# Up to its value, a record without a key: length, attributes, milliseconds, offset, -1 for the key, and size.
_PLAIN = re.compile(rb"(?s)%b.(%b)%b\x01(%b)" % ((_NUMBER,) * 4))


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """What one fetch brought of one partition, as our messages."""

    next_fetch_offset: int

    def take(self, n: int | None = None) -> list[Message]:
        messages: list[Message] = super().take(n)
        if messages:  # and the next fetch, should one come in between, begins after them
            self.next_fetch_offset = max(self.next_fetch_offset, messages[-1].offset + 1)
        return messages

    def _unpack_records(self, tp: TopicPartition, records: Any, *deserializers: Any) -> Iterator[Message]:
        while (batch := records.next_batch()) is not None:
            if self.check_crcs and not batch.validate_crc():
                raise CorruptRecordError(f"{tp}: the batch at offset {batch.base_offset} fails its checksum")
            if batch.magic < _MAGIC:
                yield from messages_of_old(tp, batch)
                continue
            self.leader_epoch = batch.leader_epoch
            if not (self._is_undone(batch) or batch.is_control_batch):
                yield from messages_of(tp, batch)
            # Compaction may have removed the last records of the batch.
            self.next_fetch_offset = batch.next_offset
            self.bytes_read += batch.size_in_bytes
        self.drain()

    def _is_undone(self, batch: DefaultRecordBatch) -> bool:
        """Whether it belongs to a transaction that was aborted."""
        if self.isolation_level != IsolationLevel.READ_COMMITTED or not batch.has_producer_id():
            return False
        self._consume_aborted_transactions_up_to(batch.last_offset)
        if self._contains_abort_marker(batch):
            self.aborted_producer_ids.discard(batch.producer_id)
            return False
        return bool(self._is_batch_aborted(batch))


def read_as_messages(client: KafkaConsumer) -> None:
    """Have `client` make our messages of what it fetches, instead of its own records."""
    client._fetcher.PartitionRecords = _Records


def messages_of(tp: TopicPartition, batch: DefaultRecordBatch) -> Iterator[Message]:
    """The records of a batch. Raises CorruptRecordError."""
    make = functools.partial(tuple.__new__, Message)  # what the class does, in half the time
    topic, partition = tp
    iter(batch)  # uncompresses it
    data, at = bytes(batch._buffer), batch._pos
    base, first = batch.base_offset, batch.first_timestamp
    appended = batch.max_timestamp if batch.timestamp_type == batch.LOG_APPEND_TIME else None
    # Compaction leaves gaps between the offsets; without it they need not be read.
    dense, plain = batch.last_offset_delta + 1 == batch.records_count, _PLAIN.match
    try:
        for number in range(batch.records_count):
            if dense and (found := plain(data, at)):
                later, size = found.groups()
                begin = found.end()
                end = begin + _varint(size)
                if begin <= end and data[end] == _NO_HEADERS:
                    stamp = first + _varint(later) if appended is None else appended
                    yield make((topic, partition, base + number, stamp / 1000, None, data[begin:end], ()))
                    at = end + 1
                    continue
            (later_ms, offset, key, value, headers), at = _record(data, at)
            stamp = first + later_ms if appended is None else appended
            yield make((topic, partition, base + offset, stamp / 1000, key, value, headers))
    except (ValueError, IndexError) as error:
        raise CorruptRecordError(f"{tp}: not a record: {error!r}") from error
    if at != len(data):
        raise CorruptRecordError(f"{tp}: the records of a batch end at {at}, not at {len(data)}")


@functools.lru_cache(maxsize=1 << 12)
def _varint(encoded: bytes) -> int:
    """A number of a record; the same few come again and again."""
    number: int = decode_varint(encoded)[0]
    return number


def _record(data: bytes, at: int) -> tuple[tuple[int, int, bytes | None, bytes | None, Headers], int]:
    """The record at a place, whatever it holds, and where it ends."""
    length, at = decode_varint(data, at)
    end = at + length
    later, at = decode_varint(data, at + 1)  # behind the attributes
    offset, at = decode_varint(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    count, at = decode_varint(data, at)
    headers: list[tuple[str, Any]] = []  # a value may be missing
    for _ in range(count):
        name, at = _bytes(data, at)
        content, at = _bytes(data, at)
        headers.append(((name or b"").decode(), content))
    if at != end:
        raise ValueError(f"it ends at {at}, not at {end}")
    return (later, offset, key, value, headers or ()), at


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    return (None, at) if length < 0 else (data[at : at + length], at + length)


def messages_of_old(tp: TopicPartition, batch: LegacyRecordBatch) -> Iterator[Message]:
    """The records of a batch from before Kafka 0.11, read by kafka-python."""
    for record in batch:
        if not record.validate_crc():
            raise CorruptRecordError(f"{tp}: the record at offset {record.offset} fails its checksum")
        yield Message(
            tp.topic,
            tp.partition,
            record.offset,
            (record.timestamp or 0) / 1000,
            record.key,
            record.value,
            (),
        )
