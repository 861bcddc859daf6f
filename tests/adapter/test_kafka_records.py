"""Our reading of Kafka's records gives what kafka-python's gives, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from estela_queue_adapter import Message
from estela_queue_adapter.platforms.kafka.records import messages_of, messages_of_old

Record: TypeAlias = tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]

TP = TopicPartition("topic", 3)
# Where a batch has them; the offset of its last record follows, as the distance to its first.
_ATTRIBUTES = 21
BYTES = st.none() | st.binary(max_size=300) | st.just(b"x" * 9_000)
HEADERS = st.lists(st.tuples(st.text(max_size=80), BYTES), max_size=3)
RECORDS = st.lists(st.tuples(st.integers(0, 1 << 42), BYTES, BYTES, HEADERS), min_size=1, max_size=70)


def batch_of(records: Sequence[Record], codec: int, magic: int = 2) -> MemoryRecords:
    builder = MemoryRecordsBuilder(magic, codec, batch_size=1 << 30, offset=7)
    for stamp, key, value, headers in records:
        assert builder.append(stamp, key, value, headers if magic == 2 else None)
    builder.close()
    return MemoryRecords(builder.buffer())


def as_kafka_python_reads(records: MemoryRecords) -> list[Message]:
    return [
        Message(
            TP.topic,
            TP.partition,
            record.offset,
            record.timestamp / 1000,
            record.key,
            record.value,
            record.headers or (),
        )
        for record in records.next_batch()
    ]


@given(RECORDS, st.sampled_from([0, 1]))
def test_a_batch_reads_as_kafka_python_reads_it(records: list[Record], codec: int) -> None:
    ours = list(messages_of(TP, batch_of(records, codec).next_batch()))

    assert ours == as_kafka_python_reads(batch_of(records, codec))
    assert [message.data for message in ours] == [value for _, _, value, _ in records]
    assert [message.offset for message in ours] == [*range(7, 7 + len(records))]


@given(RECORDS, st.booleans())
def test_so_does_one_that_was_compacted_or_stamped_by_the_broker(
    records: list[Record], stamped: bool
) -> None:
    """Its last offset lies beyond its last record then; or the time is the broker's."""
    whole = bytearray(batch_of(records, 0)._buffer)
    attributes = int.from_bytes(whole[_ATTRIBUTES : _ATTRIBUTES + 2], "big") | (8 if stamped else 0)
    struct.pack_into(">hi", whole, _ATTRIBUTES, attributes, len(records) + 2)

    ours = list(messages_of(TP, MemoryRecords(whole).next_batch()))

    assert ours == as_kafka_python_reads(MemoryRecords(whole))
    assert len(ours) == len(records)


@pytest.mark.parametrize("magic", [0, 1])
def test_so_does_a_batch_of_before_kafka_0_11(magic: int) -> None:
    batches = batch_of([(1_000, None, b"{}", []), (2_000, b"key", b"[]", [])], 0, magic)

    messages = [message for batch in batches for message in messages_of_old(TP, batch)]

    assert [(message.key, message.data) for message in messages] == [(None, b"{}"), (b"key", b"[]")]


def test_a_batch_that_is_cut_short_is_told() -> None:
    batch = batch_of([(1, None, b"x" * 100, [])], 0).next_batch()
    del batch._buffer[-50:]

    with pytest.raises(CorruptRecordError, match="topic"):
        list(messages_of(TP, batch))
