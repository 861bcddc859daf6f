"""What a fetch brought of a partition: kafka-python's class for it, replaced by one that makes our messages.

Whether a batch arrived as it was written is decided here. What fails its checksum is fetched again a few
times, as another broker or a working network may have it whole; then it is given up, handed out as
unreadable, and reading goes on behind it.
"""

from __future__ import annotations

import contextlib
import functools
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords

from estela_queue_adapter.messages import Message
from estela_queue_adapter.platforms.kafka.records.batches import Batch
from estela_queue_adapter.platforms.kafka.records.legacy import is_intact, messages_of_old
from estela_queue_adapter.platforms.kafka.records.parsing import messages_of, unreadable
from estela_terminal.printable import printable_logger

_MAGIC = 2  # the format of batches since Kafka 0.11
_MAGIC_AT = 16  # where each format says which it is
_LENGTH_AT, _LENGTH_COUNTS_FROM = 8, 12
_SHORTEST = 26  # bytes of the shortest message of any format
_FETCHES = 7  # of a damaged batch, before it is given up
_FIRST_PAUSE = 0.1  # seconds before the second fetch; each pause is twice the one before

logger = printable_logger(__name__)


class _Damaged(ValueError):
    """It is not what was written, as far as one can see."""


class Refetches:
    """How often one client fetched each damaged batch. Not thread-safe: one thread reads the fetches."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._fetched: dict[TopicPartition, tuple[int, int]] = {}
        """Partition to the position that is fetched again and again, and how often it was."""
        self._given_up: dict[TopicPartition, int] = {}
        """Partition to a checksum of what was given up there last."""

    def once_more(self, tp: TopicPartition, position: int, raw: bytes, why: str) -> bool:
        """Whether to fetch it again; blocks for the pause before that, 6.3 s in all."""
        if self.is_given_up(tp, raw):
            return False
        at, count = self._fetched.get(tp, (position, 0))
        count = count + 1 if at == position else 1
        if count < _FETCHES:
            if count == 1:
                logger.warning(
                    "%s partition %d, offset %d: %s. It is fetched again.", *tp, position, why,
                    extra={"topic": tp.topic, "partition": tp.partition, "offset": position},
                )  # fmt: skip
            self._fetched[tp] = (position, count)
            self._sleep(_FIRST_PAUSE * 2 ** (count - 1))
            return True
        self._fetched.pop(tp, None)
        return False

    def forget(self, tp: TopicPartition) -> None:
        """What comes next in this partition is another damage."""
        self._fetched.pop(tp, None)
        self._given_up.pop(tp, None)

    def is_given_up(self, tp: TopicPartition, raw: bytes) -> bool:
        """Whether these very bytes were given up already, an offset before."""
        return self._given_up.get(tp) == zlib.crc32(raw)

    def give_up(self, tp: TopicPartition, raw: bytes) -> None:
        """Fetch these bytes no more."""
        self._given_up[tp] = zlib.crc32(raw)


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """What one fetch brought of one partition, as our messages."""

    next_fetch_offset: int

    def __init__(
        self,
        refetches: Refetches,
        high_watermark: Callable[[TopicPartition], int | None],
        fetch_offset: int,
        tp: TopicPartition,
        records: Any,
        refused: str = "",
        **options: Any,
    ) -> None:
        self._refused = refused
        self._refetches = refetches
        self._high_watermark = high_watermark
        if not records.has_next() and records.size_in_bytes():
            records._next_slice = records._buffer  # or kafka-python would say only that it makes no progress
        super().__init__(fetch_offset, tp, records, **options)

    def take(self, n: int | None = None) -> list[Message]:
        messages: list[Message] = super().take(n)
        if messages:  # and the next fetch, should one come in between, begins after them
            self.next_fetch_offset = max(self.next_fetch_offset, messages[-1].offset + 1)
        return messages

    def _unpack_records(self, tp: TopicPartition, records: Any, *deserializers: Any) -> Iterator[Message]:
        passed = None
        if self._refused:
            passed, why = b"", self._refused
        batches = raw_batches(bytes(records._buffer))
        for number, raw in enumerate(batches):
            position = self.next_fetch_offset
            try:
                last, batch = self._checked(raw)
            except _Damaged as damage:
                passed = None
                if self._refetches.once_more(tp, position, raw, str(damage)):
                    break
                yield self._given_up(raw, position, str(damage), batches[number + 1 :][:1])
                continue
            if last < position:  # a broker may begin earlier than it was asked to
                passed, why = raw, "what comes lies before what was asked for"
                continue
            passed = None
            self._refetches.forget(tp)
            yield from self._messages(tp, raw, batch)
            self.next_fetch_offset = last + 1  # compaction may have removed the last records of the batch
            self.bytes_read += len(raw)
        if passed is not None:  # nothing but such: the same would come for ever
            position = self.next_fetch_offset
            if not self._refetches.once_more(tp, position, passed, why):
                yield self._given_up(passed, position, why)
        self.drain()

    def _checked(self, raw: bytes) -> tuple[int, Batch | None]:
        """The last of its offsets, and the batch if it is of today's format.

        Raises _Damaged, also if it lies where no message can be yet.
        """
        if len(raw) < _SHORTEST or raw[_MAGIC_AT] > _MAGIC:
            raise _Damaged(f"these {len(raw):,} bytes are not messages in a format that is known")
        batch = None
        if raw[_MAGIC_AT] < _MAGIC:
            (last,) = struct.unpack_from(">q", raw)
            intact = is_intact(raw)
        else:
            if len(raw) < Batch.HEAD.size:
                raise _Damaged(f"a batch of {len(raw):,} bytes")
            batch = Batch(raw)
            last, intact = batch.last_offset, batch.is_intact and batch.last_offset_delta >= 0
        if not intact:
            raise _Damaged("the batch fails its checksum")
        if not 0 <= last < self._end(last):
            raise _Damaged(f"its last offset, {last}, is not in the partition")
        return last, batch

    def _messages(self, tp: TopicPartition, raw: bytes, batch: Batch | None) -> Iterator[Message]:
        if batch is None:
            yield from messages_of_old(tp, raw)
            return
        self.leader_epoch = batch.leader_epoch
        if not (self._is_undone(batch) or batch.is_control_batch):
            yield from messages_of(tp, batch)

    def _is_undone(self, batch: Batch) -> bool:
        """Whether it belongs to a transaction that was aborted."""
        if self.isolation_level != IsolationLevel.READ_COMMITTED or batch.producer_id < 0:
            return False
        self._consume_aborted_transactions_up_to(batch.last_offset)
        if batch.is_control_batch:  # whatever its record says: it ends the transaction
            self.aborted_producer_ids.discard(batch.producer_id)
            return False
        return bool(self._is_batch_aborted(batch))

    def _given_up(self, raw: bytes, position: int, why: str, following: Sequence[bytes] = ()) -> Message:
        """What stands for a damaged batch."""
        tp, last = self.topic_partition, self._damage_ends(raw, position, following)
        self.next_fetch_offset = last + 1
        if self._refetches.is_given_up(tp, raw):  # then one message has them, and that is enough
            return unreadable(tp, position, last, b"", f"{why}, as at the offset before")
        self._refetches.give_up(tp, raw)
        return unreadable(tp, position, last, raw, f"{why}; it was fetched {_FETCHES} times")

    def _damage_ends(self, raw: bytes, position: int, following: Sequence[bytes]) -> int:
        """The last offset of a damaged batch: before the next one that is whole, if that came too.

        Else what its own head says, if two of its fields agree and that is before the partition's end. Else
        only its first offset is passed over.
        """
        for other in following:
            with contextlib.suppress(_Damaged):
                last, batch = self._checked(other)
                begin = last if batch is None else batch.base_offset
                if position < begin <= last:
                    return int(begin - 1)
        if len(raw) >= Batch.HEAD.size and raw[_MAGIC_AT] == _MAGIC:
            batch = Batch(raw)
            if batch.count == batch.last_offset_delta + 1 and position <= batch.last_offset < self._end(
                position
            ):
                return batch.last_offset
        return position

    def _end(self, unless_known: int) -> int:
        """The offset behind the partition's last message."""
        end = self._high_watermark(self.topic_partition)
        return unless_known + 1 if end is None else end


def read_as_messages(client: KafkaConsumer) -> None:
    """Have `client` make our messages of what it fetches, instead of its own records."""
    fetcher = client._fetcher

    def high_watermark(tp: TopicPartition) -> int | None:
        state = fetcher._subscriptions.assignment.get(tp)
        return None if state is None else state.highwater

    make = fetcher.PartitionRecords = functools.partial(PartitionRecords, Refetches(), high_watermark)
    parse = fetcher._parse_fetched_data

    def parsed(fetch: Any) -> Any:
        try:
            return parse(fetch)
        except CorruptRecordError:  # the broker itself cannot read on there
            refused = "the broker says that it is damaged"
            return make(fetch.fetched_offset, fetch.topic_partition, MemoryRecords(b""), refused)

    fetcher._parse_fetched_data = parsed


def raw_batches(data: bytes) -> list[bytes]:
    """The batches of a fetch; a last one that did not come whole is omitted, unless it is all there is."""
    batches: list[bytes] = []
    at = 0
    while len(data) - at >= _LENGTH_COUNTS_FROM:
        (length,) = struct.unpack_from(">i", data, at + _LENGTH_AT)
        end = at + _LENGTH_COUNTS_FROM + length
        if length < 0 or end > len(data):
            break
        batches.append(data[at:end])
        at = end
    else:
        length = 0
    if at < len(data) and (not batches or length < 0):
        batches.append(data[at:])
    return batches
