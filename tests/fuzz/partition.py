"""A partition that no broker had: batches as they were written, some of them damaged, read to its end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from kafka import TopicPartition
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords

from estela_queue_adapter import Message
from estela_queue_adapter.platforms.kafka.records.batches import Batch
from estela_queue_adapter.platforms.kafka.records.fetches import PartitionRecords, Refetches
from tests.fuzz.corpus import TIMES, Corpus
from tests.fuzz.raw_batches import CODECS, HEAD, Record, batch_of, hostile_records, spoiled

TP = TopicPartition("topic", 0)
_DAMAGED = 0.4  # of the batches
_FETCH_BATCHES = 4


class Stored(NamedTuple):
    """A batch on the broker's disk."""

    first: int
    last: int
    raw: bytes
    records: Sequence[Record]
    spoiled: bool

    @property
    def forged(self) -> bool:
        """Whether nothing in it says that it is not what was written."""
        return self.spoiled and len(self.raw) >= HEAD and Batch(self.raw).is_intact


def hostile_partition(chance: random.Random, batches: int) -> list[Stored]:
    """A partition from offset 0 on."""
    corpus, offset, stored = Corpus(chance, "d"), 0, []
    for _ in range(batches):
        records = hostile_records(chance, corpus, TP.topic, 6)
        written = batch_of(records, codec=chance.choice(CODECS), base=offset, timestamp=chance.choice(TIMES))
        raw = spoiled(chance, written) if chance.random() < _DAMAGED else written
        last = offset + len(records) - 1
        stored.append(Stored(offset, last, raw, records, raw != written))
        offset = last + 1
    return stored


def read(chance: random.Random, partition: Sequence[Stored]) -> list[Message]:
    """What the reader makes of it, as kafka-python has it read. AssertionError where it stands still."""
    end = partition[-1].last + 1
    refetches = Refetches(sleep=lambda _: None)
    messages: list[Message] = []
    position, fetches = 0, 0
    while position < end:
        fetches += 1
        if fetches > 10 * end + 50:
            raise AssertionError(f"it stands still at {position} of {end}")
        fetched = PartitionRecords(
            refetches,
            lambda _: end,
            position,
            TP,
            MemoryRecords(_served(chance, partition, position)),
            isolation_level=IsolationLevel.READ_COMMITTED,
        )
        while fetched:
            messages += fetched.take(chance.choice([1, 3, 500]))
            position = fetched.next_fetch_offset
    return messages


def _served(chance: random.Random, partition: Sequence[Stored], position: int) -> bytes:
    """A fetch: from the batch that has the position on; the last may be cut, the first never is."""
    batches = [stored.raw for stored in partition if stored.last >= position][:_FETCH_BATCHES]
    served = b"".join(batches)
    return served[: max(len(batches[0]), chance.randrange(len(served) + 1))]
