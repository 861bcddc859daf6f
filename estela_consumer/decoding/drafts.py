"""Drafts: documents before their payloads are encoded, which is done for many together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import contains
from struct import Struct
from typing import Any, NamedTuple

import bson

from estela_consumer.decoding.document import (
    MAX_DOCUMENT_BYTES,
    OBJECT_ID_ELEMENT,
    Document,
    make_document,
    too_large,
    with_id,
)
from estela_consumer.decoding.escaping import Shapes, escape_document, may_hold_backslashes
from estela_consumer.decoding.metadata import SUBDOCUMENT
from estela_consumer.decoding.version import Version, make_version
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset

MOST_TOGETHER = 64
"""Payloads that are encoded together; more would spare nothing."""

INT32 = Struct("<i")
HEAD = Struct(f"<i{len(OBJECT_ID_ELEMENT)}s12s")
"""Of a document whose `_id` is an ObjectId."""
ID_BYTES = HEAD.size - INT32.size
"""By which such an `_id` makes a document longer."""
BEFORE_LIST = 4 + len(b"\x04\x00") + 4
"""Bytes of a document with a list that has no name, up to its elements."""
BEFORE_ELEMENT = tuple(2 + len(str(number)) for number in range(MOST_TOGETHER))
"""Bytes in front of each element: its type, and its number as text."""
NOT_BSON = (OverflowError, RecursionError, bson.errors.BSONError, UnicodeError, ValueError, SystemError)
"""What `bson.encode` raises for what cannot be BSON; older ones SystemError for binary of the subtype 255."""

_new = tuple.__new__  # what a named tuple's class does, in half the time
_refused = Shapes()
_BACKSLASH = ord("\\")  # a number is found faster in bytes than bytes are
_SMALL = MAX_DOCUMENT_BYTES // 2


class Draft(NamedTuple):
    """A document before its payload is encoded."""

    dataset: Dataset
    payload: dict[str, Any]
    is_escaped: bool
    """Whether the payload's keys are; else the encoder may find some that must be."""
    message: Message
    identity: bytes | str
    last: bytes
    """One more element, in BSON, at its end."""
    version: Version | None
    """Without the end of the content, which is not known yet."""


def must_escape_any(payloads: Sequence[dict[str, Any]], texts: Sequence[bytes]) -> bool:
    """Whether a key in these payloads, whose messages are `texts`, must be escaped or may have to be."""
    return (
        any(map(contains, payloads, repeat("_id")))
        or any(map(contains, payloads, repeat(SUBDOCUMENT)))
        or (bool(_refused) and any(tuple(payload) in _refused for payload in payloads))
        or any(may_hold_backslashes(text) for text in texts if _BACKSLASH in text)
    )


def draft_of(
    message: Message,
    payload: dict[str, Any],
    dataset: Dataset,
    identity: bytes | str,
    last: bytes = b"",
    version: Version | None = None,
) -> Draft:
    """What is known of the document that the message becomes; `last` is one more element, in BSON."""
    data, is_escaped = message.data or b"", False
    if (
        "_id" in payload
        or SUBDOCUMENT in payload
        or (_refused and tuple(payload) in _refused)
        or (_BACKSLASH in data and may_hold_backslashes(data))
    ):
        payload, is_escaped = escape_document(payload), True
    return _new(Draft, (dataset, payload, is_escaped, message, identity, last, version))


def documents_of(drafts: Sequence[Draft]) -> list[Document | BadMessage]:
    """The documents of MOST_TOGETHER drafts at most, or why MongoDB would not take them."""
    escaped = [draft for draft in drafts if draft[2]]
    if not escaped or len(escaped) == len(drafts):
        return _encoded_together(drafts)
    plain = iter(_encoded_together([draft for draft in drafts if not draft[2]]))
    others = iter(_encoded_together(escaped))
    return [next(others if draft[2] else plain) for draft in drafts]


def _encoded_together(drafts: Sequence[Draft]) -> list[Document | BadMessage]:
    """Of drafts that are all escaped, or all not. To begin to encode takes as long as half a document."""
    if not drafts:
        return []
    try:  # with its check of keys pymongo finds dots as it goes by; there are hardly ever any
        encoded = bson.encode({"": [draft[1] for draft in drafts]}, not drafts[0][2])
    except NOT_BSON:
        return [_encoded_alone(draft) for draft in drafts]
    documents: list[Document | BadMessage] = []
    at, unpack, pack, new = BEFORE_LIST, INT32.unpack_from, HEAD.pack, _new
    for before, draft in zip(BEFORE_ELEMENT, drafts, strict=False):
        at += before
        (size,) = unpack(encoded, at)
        end = at + size
        dataset, _, _, message, identity, last, _ = draft
        if last or size > _SMALL or type(identity) is not bytes:
            documents.append(_finished(draft, encoded[at + 4 : end]))
        else:  # nearly always
            document = pack(size + ID_BYTES, OBJECT_ID_ELEMENT, identity) + encoded[at + 4 : end]
            documents.append(new(Document, (dataset, document, message, None)))
        at = end
    return documents


def _encoded_alone(draft: Draft) -> Document | BadMessage:
    try:
        if draft.is_escaped:
            encoded = bson.encode(draft.payload)
        else:
            try:
                encoded = bson.encode(draft.payload, True)
            except bson.errors.InvalidDocument:
                _refused.remember(draft.payload)  # being refused costs more than escaping
                encoded = bson.encode(escape_document(draft.payload))
    except OverflowError:
        return BadMessage(Reason.BAD_VALUE, "an integer is beyond 64 bits")
    except RecursionError:
        return BadMessage(Reason.BAD_VALUE, "nested too deeply")
    except NOT_BSON as error:
        return BadMessage(Reason.BAD_VALUE, f"not a BSON value: {error}")
    return _finished(draft, encoded[4:])


def _finished(draft: Draft, body: bytes) -> Document | BadMessage:
    """The document with its `_id`; `body` is its payload in BSON, without the 4 bytes of its size."""
    dataset, _, _, message, identity, last, version = draft
    if last or type(identity) is not bytes:
        encoded = with_id(identity, b"\x00\x00\x00\x00" + body, last)
    else:
        encoded = HEAD.pack(HEAD.size + len(body), OBJECT_ID_ELEMENT, identity) + body
    if len(encoded) > MAX_DOCUMENT_BYTES:
        return too_large(len(encoded))
    if version is not None:
        version = make_version((*version[:-1], len(encoded) - len(last) - 1))
    return make_document((dataset, encoded, message, version))
