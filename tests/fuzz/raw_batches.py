"""Batches of records, byte by byte."""

from __future__ import annotations

import gzip
import random
import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

import lz4.frame
import snappy
import zstandard
from crc32c import crc32c

from tests.fuzz.corpus import Corpus, Header

HEAD = 61  # bytes before the records
_AFTER_LENGTH = 12
_CHECKED_AT = 21
_COMPRESS = [
    lambda data: data,
    lambda data: gzip.compress(data, 1),
    snappy.compress,
    lz4.frame.compress,
    lambda data: zstandard.ZstdCompressor().compress(data),
]
CODECS = range(len(_COMPRESS))


class Record(NamedTuple):
    """What goes into one record."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()
    later: int = 0
    """Milliseconds after the batch's first."""


def hostile_records(chance: random.Random, corpus: Corpus, topic: str, most: int) -> list[Record]:
    """Some, of the corpus."""
    count = chance.choice([1, 1, 2, most])
    return [
        Record(corpus.key(), corpus.value(), corpus.headers(topic), chance.choice([0, 1, -1, 2**40]))
        for _ in range(count)
    ]


def now_ms() -> int:
    """The timestamp for what must stay in a topic: brokers remove what is older than the retention."""
    return time.time_ns() // 1_000_000


def batch_of(
    records: Sequence[Record], *, codec: int = 0, base: int = 0, timestamp: int = 0, attributes: int = 0
) -> bytes:
    """A batch as a correct client would write it."""
    body = b"".join(_framed(record, delta) for delta, record in enumerate(records))
    return with_head(_COMPRESS[codec](body), len(records), codec | attributes, base, timestamp)


def with_head(
    body: bytes, count: int, attributes: int = 0, base: int = 0, timestamp: int = 0, last: int | None = None
) -> bytes:
    """A batch around any body, with the right length and checksum."""
    last = count - 1 if last is None else last
    checked = struct.pack(">hiqqqhii", attributes, last, timestamp, timestamp, -1, -1, -1, count) + body
    head = struct.pack(">qiibI", base, len(checked) + _CHECKED_AT - _AFTER_LENGTH, 0, 2, crc32c(checked))
    return head + checked


def checked_again(raw: bytes) -> bytes:
    """The batch with the checksum of what is in it."""
    return raw[:17] + struct.pack(">I", crc32c(raw[_CHECKED_AT:])) + raw[_CHECKED_AT:]


def spoiled(chance: random.Random, raw: bytes) -> bytes:
    """The batch after an accident, or an attack: then its length or checksum are right again."""
    data = bytearray(raw)
    for _ in range(chance.choice([1, 1, 4])):
        if not data:
            break
        at = chance.randrange(len(data) if chance.random() < 0.5 else min(HEAD + 12, len(data)))
        kind = chance.random()
        if kind < 0.6:
            data[at] ^= 1 << chance.randrange(8)
        elif kind < 0.8:
            data[at : at + 8] = chance.choice([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7])
        elif kind < 0.9:
            del data[at : at + chance.choice([1, 8, 10_000])]
        else:
            data[at:at] = chance.randbytes(chance.choice([1, 9, 300]))
    if len(data) >= HEAD and chance.random() < 0.5:
        struct.pack_into(">i", data, 8, len(data) - _AFTER_LENGTH)
        if chance.random() < 0.8:
            data = bytearray(checked_again(bytes(data)))
    return bytes(data) or raw[:1]


def _framed(record: Record, delta: int) -> bytes:
    headers = b"".join(_sized(name) + _sized(value) for name, value in record.headers)
    body = b"\0" + _number(record.later) + _number(delta) + _sized(record.key) + _sized(record.value)
    body += _number(len(record.headers)) + headers
    return _number(len(body)) + body


def _sized(data: bytes | None) -> bytes:
    return _number(-1) if data is None else _number(len(data)) + data


def _number(value: int) -> bytes:
    """A zigzag varint."""
    rest, encoded = (value << 1) ^ (value >> 63), bytearray()
    while rest > 0x7F:
        encoded.append(0x80 | rest & 0x7F)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)
