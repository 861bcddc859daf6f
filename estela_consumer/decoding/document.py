"""Documents: what a message becomes, and when two of them are the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import bson
import orjson
from bson.objectid import ObjectId

from estela_consumer.decoding.dataset import STATS_TOPIC, Dataset
from estela_queue_adapter import Message

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024  # MongoDB's limit
_ID_AS_OBJECT_ID = b"\x07_id\x00"  # how a document begins behind its size, and the 12 bytes follow


class Document(NamedTuple):
    """What one message becomes. A named tuple, because one is made for every message."""

    dataset: Dataset
    bson: bytes
    """The whole document, `_id` first."""
    message: Message

    @property
    def key(self) -> bytes | str:
        """Its `_id`, 12 bytes where it is an ObjectId."""
        if self.bson.startswith(_ID_AS_OBJECT_ID, 4):
            return self.bson[9:21]
        identity: str = bson.decode(self.bson)["_id"]
        return identity

    @property
    def id(self) -> ObjectId | str:
        """Its `_id`."""
        key = self.key
        return key if isinstance(key, str) else ObjectId(key)


def id_bytes(given: Any) -> bytes | None:
    """The 12 bytes of an ObjectId that an envelope's `id` says in 24 hex digits; None for anything else."""
    try:
        identity = bytes.fromhex(given)
    except (ValueError, TypeError):
        return None
    return identity if len(identity) == 12 and len(given) == 24 else None  # `fromhex` passes over spaces


def with_id(identity: bytes | str, encoded: bytes) -> bytes:
    """The BSON document `encoded`, which has no `_id`, with one in front: 12 bytes are an ObjectId."""
    if isinstance(identity, bytes):
        first = _ID_AS_OBJECT_ID + identity
    else:
        first = bson.encode({"_id": identity})[4:-1]
    return (len(encoded) + len(first)).to_bytes(4, "little") + first + encoded[4:]


def canonical(value: Any) -> bytes:
    """The value's canonical JSON: keys sorted, nothing between; equal values give equal bytes.

    Raises RecursionError for what is nested too deeply.
    """
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        # orjson writes NaN and the infinities as null; they are not the same as null.
        if b"null" not in encoded:
            return encoded
    except TypeError:
        pass  # a lone surrogate, an integer beyond 64 bits, a type of the store's own: json has an answer
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=repr).encode()


def content_id(payload: dict[str, Any]) -> bytes:
    """The 12 bytes of `_id` in a unique dataset, where equal payloads are one document."""
    return hashlib.sha256(canonical(payload)).digest()[:12]


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two BSON documents say the same, whatever the order of their keys."""
    return one == other or canonical(bson.decode(one)) == canonical(bson.decode(other))


def is_there(stored: bytes, document: Document) -> bool:
    """Whether what is stored under the document's `_id` is the document.

    A job's stats are there too if fields were added to them: estela's API does so.
    """
    if same_content(stored, document.bson):
        return True
    if document.message.topic != STATS_TOPIC:
        return False
    found, given = bson.decode(stored), bson.decode(document.bson)
    return all(key in found and canonical(found[key]) == canonical(value) for key, value in given.items())
