"""Whatever a partition holds, it is read to its end, and what is whole in it comes out as it went in."""

from __future__ import annotations

import gzip
import random
from itertools import pairwise
from typing import Any

import pytest
from kafka.record import MemoryRecords

from estela_queue_adapter import Message, Unreadable
from estela_queue_adapter.platforms.kafka.records.fetches import PartitionRecords, Refetches
from tests.fuzz.partition import TP, Stored, hostile_partition, read
from tests.fuzz.raw_batches import Record, batch_of, checked_again, with_head

SEEDS = range(300)
GOOD = [Record(None, b"%d" % number) for number in range(3)]


def first_of(message: Message) -> int:
    return message.data.first if isinstance(message.data, Unreadable) else message.offset


@pytest.mark.parametrize("seed", SEEDS)
def test_a_partition_of_hostile_and_damaged_batches_is_read_to_its_end(seed: int) -> None:
    chance = random.Random(seed)
    partition = hostile_partition(chance, 12)

    messages = read(chance, partition)

    for before, after in pairwise(messages):
        assert before.offset < first_of(after)
    assert all(0 <= first_of(message) <= message.offset <= partition[-1].last for message in messages)
    if not any(stored.forged for stored in partition):
        found = {at: message for message in messages for at in range(first_of(message), message.offset + 1)}
        assert set(found) == set(range(partition[-1].last + 1))
        for stored in partition:
            for offset, record in enumerate(stored.records, stored.first):
                if not stored.spoiled:
                    assert content_of(found[offset]) == record[:3]


def content_of(message: Message) -> tuple[Any, ...]:
    """What was sent; a fault of the reader would show as `Unreadable` here."""
    assert type(message.data) is not Unreadable, message.data.reason
    headers = [(name.encode(errors="surrogateescape"), value) for name, value in message.headers]
    return (message.key, message.data, headers)


def partition_of(*batches: bytes) -> list[Stored]:
    """Batches of three offsets each."""
    return [Stored(3 * n, 3 * n + 2, raw, GOOD, spoiled=False) for n, raw in enumerate(batches)]


def test_a_batch_that_fails_its_checksum_once_is_read_when_it_is_fetched_again() -> None:
    good = batch_of(GOOD)
    slept: list[float] = []
    refetches = Refetches(slept.append)

    first = PartitionRecords(refetches, lambda _: 3, 0, TP, MemoryRecords(good[:-1] + b"\xff"))
    taken = first.take()
    second = PartitionRecords(refetches, lambda _: 3, first.next_fetch_offset, TP, MemoryRecords(good))

    assert (taken, first.next_fetch_offset, slept) == ([], 0, [0.1])
    assert [message.data for message in second.take()] == [b"0", b"1", b"2"]


def test_one_that_always_fails_it_is_told_whole_and_its_neighbours_are_read() -> None:
    bad = batch_of(GOOD, base=3)[:-1] + b"\xff"

    messages = read(random.Random(0), partition_of(batch_of(GOOD), bad, batch_of(GOOD, base=6)))

    assert [message.data for message in messages] == [b"0", b"1", b"2", bad, b"0", b"1", b"2"]
    [told] = [message.data for message in messages if isinstance(message.data, Unreadable)]
    assert (told.first, messages[3].offset, messages[3].next.offset) == (3, 5, 6)
    assert told.reason == "the batch fails its checksum; it was fetched 7 times"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (with_head(b"", 3, attributes=7), "compressed in a way that is not known: 7"),
        (with_head(b"rubbish", 3, attributes=1), "not gzip"),
        (with_head(b"rubbish", 3, attributes=2), "not snappy"),
        (with_head(b"rubbish", 3, attributes=3), "not LZ4"),
        (with_head(b"rubbish", 3, attributes=4), "not zstd"),
        (with_head(gzip.compress(bytes(200_000_000), 1), 3, attributes=1), "over 134,217,728 bytes"),
        (with_head(b"", -1, last=2), "it says that it has -1 records"),
        (with_head(b"\xff" * 30, 3), "not a record"),
    ],
    ids=["codec", "gzip", "snappy", "LZ4", "zstd", "bomb", "count", "records"],
)
def test_a_batch_that_was_written_unreadable_is_told_with_its_reason(raw: bytes, told: str) -> None:
    messages = read(random.Random(0), partition_of(raw, batch_of(GOOD, base=3)))

    assert [message.data for message in messages[1:]] == [b"0", b"1", b"2"]
    assert isinstance(messages[0].data, Unreadable)
    assert told in messages[0].data.reason
    assert (messages[0].data.first, messages[0].offset) == (0, 2)


def test_one_in_an_unknown_format_is_passed_over_an_offset_at_a_time_and_kept_once() -> None:
    """Given that it is all that comes: where the next one begins is not known then."""
    unknown = batch_of(GOOD)[:16] + b"\x03" + batch_of(GOOD)[17:]

    messages = read(random.Random(0), partition_of(unknown))

    assert [(message.offset, message.data) for message in messages] == [(0, unknown), (1, b""), (2, b"")]
    assert all(isinstance(message.data, Unreadable) for message in messages)


def test_a_record_that_does_not_parse_costs_itself_alone() -> None:
    """Given a record whose key says that it is longer than the record."""
    whole = bytearray(batch_of(GOOD))
    at = whole.index(b"1\0")  # the value of the second, and its number of headers
    whole[at - 2] = 0x7E

    messages = read(random.Random(0), partition_of(checked_again(bytes(whole))))

    assert [type(message.data) for message in messages] == [bytes, Unreadable, bytes]
    assert [message.offset for message in messages] == [0, 1, 2]


def test_a_header_of_any_name_and_without_a_value_is_read() -> None:
    headers = [(b"soci\xe9t\xe9", b"x"), (b"trace", None), (b"", b""), (b"\xed\xa0\x80", None)]

    [message] = read(random.Random(0), partition_of(batch_of([Record(None, b"{}", headers)] * 3)))[:1]

    assert content_of(message) == (None, b"{}", headers)
