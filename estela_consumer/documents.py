"""Documents: what a message becomes, and when two of them are the same."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import bson
import orjson
from bson.objectid import ObjectId

from estela_consumer.datasets import Dataset
from estela_queue_adapter import Message

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024  # MongoDB's limit


class Document(NamedTuple):
    """What one message becomes. A named tuple, because one is made for every message."""

    dataset: Dataset
    id: ObjectId | str
    bson: bytes
    """The whole document, `_id` first."""
    message: Message


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


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two BSON documents say the same, whatever the order of their keys."""
    return one == other or canonical(bson.decode(one)) == canonical(bson.decode(other))
