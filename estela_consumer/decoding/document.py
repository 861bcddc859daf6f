"""Documents: what a message becomes, and whether one is stored already."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.objectid import ObjectId

from estela_consumer.decoding.version import Version
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message
from estela_wire.canonical import canonical
from estela_wire.dataset import Dataset
from estela_wire.topics import STATS_TOPIC

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024  # MongoDB's limit
OBJECT_ID_ELEMENT = b"\x07_id\x00"
"""How a document whose `_id` is an ObjectId begins behind the 4 bytes of its size; the 12 bytes follow."""

_ANY_DATE: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


class Document(NamedTuple):
    """What one message becomes. A named tuple, because one is made for every message."""

    dataset: Dataset
    bson: bytes
    """The whole document, `_id` first."""
    message: Message
    version: Version | None = None
    """What the message says of its key's document; None if it has no key."""

    @property
    def key(self) -> bytes | str:
        """Its `_id`; 12 bytes are an ObjectId's."""
        if self.bson.startswith(OBJECT_ID_ELEMENT, 4):
            return self.bson[9:21]
        identity: str = decoded(self.bson)["_id"]
        return identity

    @property
    def id(self) -> ObjectId | str:
        """Its `_id`."""
        key = self.key
        return key if isinstance(key, str) else ObjectId(key)


make_document = partial(tuple.__new__, Document)  # what the class does, in half the time


def too_large(size: int) -> BadMessage:
    """What is wrong with a document of `size` bytes."""
    return BadMessage(Reason.TOO_LARGE, f"{size:,} bytes as a document, over {MAX_DOCUMENT_BYTES:,}")


def with_id(identity: bytes | str, encoded: bytes, last: bytes = b"") -> bytes:
    """The BSON document `encoded`, which has no `_id`, with one in front: 12 bytes are an ObjectId.

    `last` is one more element at its end.
    """
    first = OBJECT_ID_ELEMENT + identity if type(identity) is bytes else bson.encode({"_id": identity})[4:-1]
    size = (len(encoded) + len(first) + len(last)).to_bytes(4, "little")
    if last:
        return b"".join((size, first, encoded[4:-1], last, b"\x00"))
    return size + first + encoded[4:]


def decoded(encoded: bytes) -> dict[str, Any]:
    """A BSON document; a date that Python has no datetime for is a DatetimeMS."""
    return bson.decode(encoded, _ANY_DATE)


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two BSON documents say the same, whatever the order of their keys."""
    return one == other or canonical(decoded(one)) == canonical(decoded(other))


def is_stored_as(stored: bytes, document: Document) -> bool:
    """Whether what is stored under the document's `_id` is the document.

    A job's stats are the same if fields were added to them, at whatever depth: estela's API does so.
    """
    if same_content(stored, document.bson):
        return True
    if document.message.topic != STATS_TOPIC:
        return False
    return _extends(decoded(stored), decoded(document.bson))


def _extends(found: Any, given: Any) -> bool:
    """Whether every field of `given` is in `found` unchanged; a list has none of its own."""
    if isinstance(found, dict) and isinstance(given, dict):
        return all(key in found and _extends(found[key], value) for key, value in given.items())
    return bool(canonical({"": found}) == canonical({"": given}))
