"""From the bytes of a batch to our messages, in one step.

kafka-python makes two objects for each record before we make ours, which would be a good part of what a
drain costs. This goes through the same bytes and makes our message at once: if a record has neither key nor
headers, as nearly all have, a regular expression finds what is in it and reads no number twice.

A batch comes here only if its checksum is right. So what cannot be read was written like that, and will never
be read: it becomes an `Unreadable`, alone if the record says where it ends, and its neighbours are messages.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from kafka import TopicPartition
from kafka.record.util import decode_varint

from estela_queue_adapter.messages import Headers, Message, Unreadable
from estela_queue_adapter.platforms.kafka.records.batches import Batch
from estela_queue_adapter.platforms.kafka.records.decompression import decompress
from estela_terminal.printable import printable_logger

_NO_HEADERS = 0
_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
# Up to its value, a record without a key: length, attributes, milliseconds, offset, -1 for the key, and size.
_PLAIN = re.compile(rb"(?s)%b.(%b)%b\x01(%b)" % ((_NUMBER,) * 4))

logger = printable_logger(__name__)


def messages_of(tp: TopicPartition, batch: Batch) -> Iterator[Message]:
    """The records of a batch, in the order of their offsets, and what is unreadable among them."""
    make = functools.partial(tuple.__new__, Message)  # what the class does, in half the time
    topic, partition = tp
    base, last, first = batch.base_offset, batch.last_offset, batch.first_timestamp
    try:
        data, at = _uncompressed(batch)
    except ValueError as error:
        yield unreadable(tp, base, last, batch.raw, str(error))
        return
    appended = batch.max_timestamp if batch.is_stamped_by_broker else None
    # Compaction leaves gaps between the offsets; without it they need not be read.
    count, dense, plain = batch.count, batch.last_offset_delta + 1 == batch.count, _PLAIN.match
    size, number, due = len(data), 0, base
    while number < count and due <= last:
        try:
            for number in range(number, count):  # noqa: B020  (it goes on behind what is unreadable)
                if dense and (found := plain(data, at)):
                    later, length = found.groups()
                    begin = found.end()
                    end = begin + _varint(length)
                    if begin <= end < size and data[end] == _NO_HEADERS:
                        stamp = first + _varint(later) if appended is None else appended
                        yield make((topic, partition, base + number, stamp / 1000, None, data[begin:end], ()))
                        at = end + 1
                        continue
                (later_ms, delta, key, value, headers), end = _record(data, at)
                offset = base + (number if dense else delta)
                if not (dense or due <= offset <= last):
                    raise ValueError(f"its offset {offset} is not between {due} and {last}")
                stamp = first + later_ms if appended is None else appended
                yield make((topic, partition, offset, stamp / 1000, key, value, headers))
                due, at = offset + 1, end
            number = count
        except (ValueError, IndexError) as error:
            due = base + number if dense else due
            if due > last:
                break
            behind = _end_of_record(data, at)
            until = last if behind is None else due
            behind = size if behind is None else behind
            yield unreadable(tp, due, until, data[at:behind], f"it is not a record: {error}")
            due, number, at = until + 1, number + 1, behind
    if at != size or number != count:
        logger.error(
            "%s partition %d, offsets %d to %d: %d bytes behind them belong to no message; they are skipped.",
            topic, partition, base, last, size - at,
            extra={"topic": topic, "partition": partition, "offset": base},
        )  # fmt: skip


def unreadable(tp: TopicPartition, first: int, last: int, raw: bytes, reason: str) -> Message:
    """What stands for the offsets from `first` to `last`, which `raw` should have been the messages of."""
    logger.error(
        "%s partition %d, offsets %d to %d cannot be read: %s",
        tp.topic,
        tp.partition,
        first,
        last,
        reason,
        extra={"topic": tp.topic, "partition": tp.partition, "offset": first},
    )
    return Message(tp.topic, tp.partition, last, 0.0, None, Unreadable(raw, first, reason), ())


def _uncompressed(batch: Batch) -> tuple[bytes, int]:
    """The bytes of the records, and the place of the first; raises ValueError."""
    if batch.count < 0:
        raise ValueError(f"it says that it has {batch.count} records")
    if not batch.codec:
        return batch.raw, Batch.HEAD.size
    return decompress(batch.codec, batch.raw[Batch.HEAD.size :]), 0


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
    if count < 0:
        raise ValueError(f"it says that it has {count} headers")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _bytes(data, at)
        content, at = _bytes(data, at)
        headers.append(((name or b"").decode(errors="surrogateescape"), content))
    if at != end:
        raise ValueError(f"it ends at {at}, not at {end}")
    return (later, offset, key, value, headers or ()), at


def _end_of_record(data: bytes, at: int) -> int | None:
    """Where the record at a place ends by what it says; None if that cannot be."""
    try:
        length, at = decode_varint(data, at)
    except (ValueError, IndexError):
        return None
    return at + length if 0 <= length <= len(data) - at else None


def _bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    return (None, at) if length < 0 else (data[at : at + length], at + length)
