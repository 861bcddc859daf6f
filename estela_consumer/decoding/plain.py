"""Plain messages: an item's payload, its jid and an id, and nothing to escape. Nearly all are.

What each of them takes is most of what a drain does in Python, so all steps but one are for all together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from struct import iter_unpack

import bson
from msgspec.structs import astuple

from estela_consumer.decoding.dataset import remembered_dataset
from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, OBJECT_ID_ELEMENT, Document
from estela_consumer.decoding.drafts import (
    BEFORE_ELEMENT,
    BEFORE_LIST,
    HEAD,
    ID_BYTES,
    INT32,
    NOT_BSON,
    must_escape_any,
)
from estela_consumer.decoding.envelope import MAY_BE_DEEP, check_depth
from estela_consumer.errors import BadMessage
from estela_queue_adapter import Message
from estela_queue_adapter.errors import BadName
from estela_wire.dataset import Dataset
from estela_wire.envelope import Envelope
from estela_wire.message_id import BYTES, HEX_DIGITS
from estela_wire.topics import STATS_TOPIC

_NOT_PLAIN = (*NOT_BSON, BadMessage, BadName)
_SMALL = MAX_DOCUMENT_BYTES - ID_BYTES  # bytes: if all together are no more, none is too large


def plain_documents(
    messages: Sequence[Message], envelopes: Sequence[Envelope]
) -> tuple[list[Document], Dataset | None] | None:
    """The documents of MOST_TOGETHER messages at most, and their dataset if they share one.

    None if one of them is not plain, or is refused: what becomes of each is found out one by one then. There
    is no dataset either if a message has a key or headers.
    """
    topics, _, _, _, message_keys, texts, headers = zip(*messages, strict=True)
    payloads, jids, unique, ids, *absent, _, metadata = zip(*map(astuple, envelopes), strict=True)
    topic, count = topics[0], len(messages)
    if not (
        all(column.count(None) == count for column in (*absent, metadata))
        and unique.count("False") == count
        and {*map(type, jids), *map(type, ids)} == {str}
        and {*map(len, ids)} == {HEX_DIGITS}
        and topics.count(topic) == count
        and topic != STATS_TOPIC
        and not must_escape_any(payloads, texts)
    ):
        return None
    try:
        identities = bytes.fromhex("".join(ids))
        if len(identities) != BYTES * count:  # `fromhex` passes over spaces
            return None
        if jids.count(jids[0]) == count:
            dataset = remembered_dataset(topic, jids[0], None, None)
            datasets = (dataset,) * count
        else:
            dataset = None
            datasets = tuple([remembered_dataset(topic, jid, None, None) for jid in jids])
        if max(map(len, texts)) > MAY_BE_DEEP:
            for payload, text in zip(payloads, texts, strict=True):
                check_depth(payload, text)
        encoded = bson.encode({"": payloads}, True)  # it finds dots as it goes by; there are hardly ever any
    except _NOT_PLAIN:
        return None
    if len(encoded) > _SMALL:
        return None
    found = zip(datasets, _with_ids(encoded, identities), messages, repeat(None), strict=False)
    documents = [*map(tuple.__new__, repeat(Document), found)]  # what the class does, in half the time
    return documents, None if any(message_keys) or any(headers) else dataset


def _with_ids(encoded: bytes, identities: bytes) -> list[bytes]:
    """The documents of an encoded list, each with its ObjectId in front."""
    documents: list[bytes] = []
    at, unpack, pack = BEFORE_LIST, INT32.unpack_from, HEAD.pack
    for before, (identity,) in zip(BEFORE_ELEMENT, iter_unpack(f"{BYTES}s", identities), strict=False):
        at += before
        (size,) = unpack(encoded, at)
        end = at + size
        documents.append(pack(size + ID_BYTES, OBJECT_ID_ELEMENT, identity) + encoded[at + 4 : end])
        at = end
    return documents
