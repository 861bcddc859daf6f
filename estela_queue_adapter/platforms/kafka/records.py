"""Reading the records of a fetch: kafka-python's way of it, without its two objects for each record.

They would be a good part of what a drain costs. This goes through the same bytes and makes our message at
once. All else (checksums, compression, aborted transactions) stays kafka-python's.
"""

from __future__ import annotations

import functools
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
_NO_BYTES = 1  # -1 as a varint: no key, or no value


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
    try:
        for _ in range(batch.records_count):
            # What most varints are, one byte or two, is read here: a call takes as long as all the rest.
            low, high = data[at], data[at + 1]
            if low & 0x80 and high < 0x80:
                at += 2
                end = at + ((low & 0x7F | high << 7) >> 1)
            else:
                length, at = decode_varint(data, at)
                end = at + length
            at += 1  # the attributes
            later = data[at] >> 1
            if data[at] & 0x81:
                later, at = decode_varint(data, at)
            else:
                at += 1
            offset = data[at] >> 1
            if data[at] & 0x81:
                offset, at = decode_varint(data, at)
            else:
                at += 1
            key: bytes | None = None
            if data[at] == _NO_BYTES:
                at += 1
            else:
                length, at = decode_varint(data, at)
                key = data[at : at + length]
                at += length
            value: bytes | None = None
            low, high = data[at], data[at + 1]
            if low & 0x81 == 0x80 and high < 0x80:
                at += 2
                length = (low & 0x7F | high << 7) >> 1
            else:
                length, at = decode_varint(data, at)
            if length >= 0:
                value = data[at : at + length]
                at += length
            headers: Headers = ()
            if data[at]:
                headers, at = _headers(data, at)
            else:
                at += 1
            if at != end:
                raise CorruptRecordError(f"{tp}: a record ends at {at}, not at {end}")
            stamp = first + later if appended is None else appended
            yield make((topic, partition, base + offset, stamp / 1000, key, value, headers))
    except (ValueError, IndexError) as error:
        raise CorruptRecordError(f"{tp}: not a record: {error!r}") from error


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


def _headers(data: bytes, at: int) -> tuple[Headers, int]:
    count, at = decode_varint(data, at)
    headers: list[tuple[str, Any]] = []  # a value may be missing
    for _ in range(count):
        length, at = decode_varint(data, at)
        name = data[at : at + length].decode()
        length, at = decode_varint(data, at + length)
        headers.append((name, data[at : at + length] if length >= 0 else None))
        at += max(0, length)
    return headers, at
