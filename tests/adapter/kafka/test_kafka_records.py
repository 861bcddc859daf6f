"""Our reading of Kafka's records gives what kafka-python's gives, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from estela_queue_adapter import Message
from estela_queue_adapter.platforms.kafka.records.batches import Batch
from estela_queue_adapter.platforms.kafka.records.fetches import raw_batches
from estela_queue_adapter.platforms.kafka.records.legacy import messages_of_old
from estela_queue_adapter.platforms.kafka.records.parsing import messages_of

Record: TypeAlias = tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]

TP = TopicPartition("topic", 3)
# Where a batch has them; the offset of its last record follows, as the distance to its first.
_ATTRIBUTES = 21
BYTES = st.none() | st.binary(max_size=300) | st.just(b"x" * 9_000)
HEADERS = st.lists(st.tuples(st.text(max_size=80), BYTES), max_size=3)
RECORDS = st.lists(st.tuples(st.integers(0, 1 << 42), BYTES, BYTES, HEADERS), min_size=1, max_size=70)


def bytes_of(records: Sequence[Record], codec: int = 0, magic: int = 2) -> bytes:
    builder = MemoryRecordsBuilder(magic, codec, batch_size=1 << 30, offset=7)
    for stamp, key, value, headers in records:
        assert builder.append(stamp, key, value, headers if magic == 2 else None)
    builder.close()
    return bytes(builder.buffer())


def as_kafka_python_reads(raw: bytes) -> list[Message]:
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
        for record in MemoryRecords(raw).next_batch()
    ]


@given(RECORDS, st.sampled_from([0, 1, 2, 3, 4]))
def test_a_batch_reads_as_kafka_python_reads_it(records: list[Record], codec: int) -> None:
    raw = bytes_of(records, codec)

    ours = list(messages_of(TP, Batch(raw)))

    assert ours == as_kafka_python_reads(raw)
    assert [message.data for message in ours] == [value for _, _, value, _ in records]
    assert [message.offset for message in ours] == [*range(7, 7 + len(records))]


@given(RECORDS, st.booleans())
def test_so_does_one_that_was_compacted_or_stamped_by_the_broker(
    records: list[Record], stamped: bool
) -> None:
    """Its last offset lies beyond its last record then; or the time is the broker's."""
    whole = bytearray(bytes_of(records))
    attributes = int.from_bytes(whole[_ATTRIBUTES : _ATTRIBUTES + 2], "big") | (8 if stamped else 0)
    struct.pack_into(">hi", whole, _ATTRIBUTES, attributes, len(records) + 8)

    ours = list(messages_of(TP, Batch(bytes(whole))))

    assert ours == as_kafka_python_reads(bytes(whole))
    assert len(ours) == len(records)


@pytest.mark.parametrize("codec", [0, 1, 2])
@pytest.mark.parametrize("magic", [0, 1])
def test_so_do_messages_of_before_kafka_0_11(magic: int, codec: int) -> None:
    raw = bytes_of([(1_000, None, b"{}", []), (2_000, b"key", None, [])], codec, magic)
    if codec:  # the broker gives the wrapper the offset of its last message
        raw = struct.pack(">q", 8) + raw[8:]
    theirs = [
        Message(TP.topic, TP.partition, each.offset, (each.timestamp or 0) / 1000, each.key, each.value, ())
        for batch in MemoryRecords(raw)
        for each in batch
    ]

    ours = [message for one in raw_batches(raw) for message in messages_of_old(TP, one)]

    assert ours == theirs
    assert [(message.key, message.data) for message in ours] == [(None, b"{}"), (b"key", None)]
