"""The formats of messages before Kafka 0.11, which old segments and old brokers still have."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kafka import TopicPartition

from estela_queue_adapter.messages import Message
from estela_queue_adapter.platforms.kafka.records.decompression import decompress
from estela_queue_adapter.platforms.kafka.records.parsing import unreadable

_HEAD = struct.Struct(">qiIbb")  # offset, size of what follows, checksum, format, attributes
_SIZE_AT = 12  # bytes up to where the size begins to count
_CHECKED_AT = 16  # where the part begins that the checksum is of
_CODEC = 0x07
_STAMPED_BY_BROKER = 0x08


class _Entry(NamedTuple):
    """A message, or a wrapper of compressed ones."""

    offset: int
    timestamp: int
    attributes: int
    key: bytes | None
    value: bytes | None


def messages_of_old(tp: TopicPartition, raw: bytes) -> Iterator[Message]:
    """The message in these bytes, or those that it wraps, and what is unreadable among them."""
    (at,) = struct.unpack_from(">q", raw)  # of a wrapper, the offset of its last
    try:
        entry = _entry(raw)
        if not entry.attributes & _CODEC:
            yield _message(tp, entry, entry.offset, entry.timestamp)
            return
        wrapped = decompress(entry.attributes & _CODEC, entry.value or b"")
        pieces = list(_pieces(wrapped))
    except (ValueError, struct.error) as error:
        yield unreadable(tp, at, at, raw, str(error))
        return
    yield from _unwrapped(tp, entry, raw[_CHECKED_AT] > 0, pieces)


def _unwrapped(tp: TopicPartition, wrapper: _Entry, relative: bool, pieces: list[bytes]) -> Iterator[Message]:
    """The messages of a wrapper; if their offsets are relative, the last of them has the wrapper's."""
    last = struct.unpack_from(">q", pieces[-1])[0] if pieces else 0
    due = 0
    for piece in pieces:
        offset = struct.unpack_from(">q", piece)[0] + (wrapper.offset - last if relative else 0)
        try:
            if not due <= offset <= wrapper.offset:
                raise ValueError(f"its offset {offset} is not between {due} and {wrapper.offset}")
            entry = _entry(piece)
            if entry.attributes & _CODEC:
                raise ValueError("it is compressed twice")
        except (ValueError, struct.error) as error:
            offset = max(due, min(offset, wrapper.offset))
            yield unreadable(tp, offset, offset, piece, str(error))
        else:
            by_broker = wrapper.attributes & _STAMPED_BY_BROKER
            yield _message(tp, entry, offset, wrapper.timestamp if by_broker else entry.timestamp)
        due = offset + 1
        if due > wrapper.offset:
            return


def is_intact(raw: bytes) -> bool:
    """Whether its checksum is right."""
    return zlib.crc32(raw[_CHECKED_AT:]) == int.from_bytes(raw[_SIZE_AT:_CHECKED_AT], "big")


def _message(tp: TopicPartition, entry: _Entry, offset: int, timestamp: int) -> Message:
    return Message(tp.topic, tp.partition, offset, timestamp / 1000, entry.key, entry.value, ())


def _pieces(data: bytes) -> Iterator[bytes]:
    """The messages in a row of them, as bytes; raises ValueError if one has no end."""
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at + 8)
        end = at + _SIZE_AT + size
        if size < 0 or end > len(data):
            raise ValueError(f"a message of {size} bytes at {at} of {len(data)}")
        yield data[at:end]
        at = end


def _entry(raw: bytes) -> _Entry:
    """What the bytes of one message say. Raises ValueError, struct.error."""
    offset, _, _, magic, attributes = _HEAD.unpack_from(raw)
    if not is_intact(raw):
        raise ValueError("it fails its checksum")
    at, timestamp = _HEAD.size, 0
    if magic:
        (timestamp,) = struct.unpack_from(">q", raw, at)
        at += 8
    key, at = _field(raw, at)
    value, at = _field(raw, at)
    return _Entry(offset, timestamp, attributes, key, value)


def _field(raw: bytes, at: int) -> tuple[bytes | None, int]:
    (size,) = struct.unpack_from(">i", raw, at)
    at += 4
    if size < 0:
        return None, at
    if at + size > len(raw):
        raise ValueError(f"a field of {size} bytes, of which there are {len(raw) - at}")
    return raw[at : at + size], at + size
