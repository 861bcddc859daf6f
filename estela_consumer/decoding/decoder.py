"""From the bytes of a message to the bytes of a document."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from typing import Any

import bson

from estela_consumer.decoding.dataset import STATS_TOPIC, dataset_of, shown, stats_id
from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, Document, content_id, id_bytes, with_id
from estela_consumer.decoding.envelope import Envelope, read_envelope
from estela_consumer.decoding.escaping import escape_document, may_hold_backslashes
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message, Unreadable
from estela_wire.headers import origin_of

_make_document = partial(tuple.__new__, Document)  # what the class does, in half the time
_BACKSLASH = ord("\\")  # a number is found faster in bytes than bytes are
_MAX_JSON_BYTES = 6 * MAX_DOCUMENT_BYTES  # of a document: a character of it is six at most, as \\u0001
_MAX_DEPTH = 300  # levels of nesting; MongoDB takes 200
_MAY_BE_DEEP = 2 * _MAX_DEPTH  # bytes: what is shorter has fewer levels


def decode(message: Message) -> Document | None:
    """The document that the message carries; None for a tombstone. Raises BadMessage."""
    data = message.data
    if type(data) is not bytes:
        if data is None:
            return None
        if isinstance(data, Unreadable):
            raise BadMessage(Reason.UNREADABLE, f"offsets {data.first} to {message.offset}: {data.reason}")
    size = len(data)
    if size > _MAX_JSON_BYTES:
        raise BadMessage(Reason.TOO_LARGE, f"{size:,} bytes of JSON, over {_MAX_JSON_BYTES:,}")
    try:
        envelope = read_envelope(data)
        database, collection = envelope.db_name, envelope.dataset_name
        # With both names the jid decides nothing, and it may be of any kind and size.
        jid = None if database and collection else envelope.jid
        try:
            dataset = dataset_of(message.topic, jid, database, collection)
        except TypeError as error:  # a list or an object where a name belongs
            raise BadMessage(Reason.BAD_NAME, f"a name is not a string: {error}") from error
        if size > _MAY_BE_DEEP and data.count(b"{") + data.count(b"[") > _MAX_DEPTH:
            _check_depth(envelope.payload)
        encoded = with_id(_identity(message, envelope), _encode(envelope.payload, data))
    except RecursionError as error:  # where the stack ends just behind the parser
        raise BadMessage(Reason.BAD_VALUE, "nested too deeply") from error
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise BadMessage(
            Reason.TOO_LARGE, f"{len(encoded):,} bytes as a document, over {MAX_DOCUMENT_BYTES:,}"
        )
    return _make_document((dataset, encoded, message))


def _check_depth(payload: dict[str, Any]) -> None:
    """Raise BadMessage for what is nested so deeply that looking into it would exhaust the stack."""
    level: list[Any] = [payload]
    for _ in range(_MAX_DEPTH):
        values = [value.values() if type(value) is dict else value for value in level]
        level = [inner for inners in values for inner in inners if type(inner) in (dict, list)]
        if not level:
            return
    raise BadMessage(Reason.BAD_VALUE, f"the payload is nested more than {_MAX_DEPTH} levels deep")


def _identity(message: Message, envelope: Envelope) -> bytes | str:
    """The `_id`, 12 bytes where it is an ObjectId.

    It is decided by the message alone, so that a message that is delivered again meets itself.
    """
    if message.topic == STATS_TOPIC:
        return stats_id(envelope.jid)
    if envelope.unique in ("True", True):
        return content_id(envelope.payload)
    given = envelope.id
    if given is None:
        origin = origin_of(message)
        seconds = (int(origin.timestamp) & 0xFFFFFFFF).to_bytes(4, "big")
        place = _place(origin.topic, origin.partition)
        return seconds + place + (origin.offset & 0xFFFFFF).to_bytes(3, "big")
    identity = id_bytes(given)
    if identity is None:
        raise BadMessage(Reason.BAD_ENVELOPE, f"the envelope's id is not 24 hex digits: {shown(given)}")
    return identity


@lru_cache(maxsize=1024)
def _place(topic: str, partition: int) -> bytes:
    return hashlib.sha256(f"{topic}/{partition}".encode()).digest()[:5]


def _encode(payload: dict[str, Any], data: bytes) -> bytes:
    """BSON with the keys escaped. pymongo finds the dots in them as it goes by; there are hardly ever any."""
    try:
        if "_id" not in payload and not (_BACKSLASH in data and may_hold_backslashes(data)):
            try:
                return bson.encode(payload, check_keys=True)
            except bson.errors.InvalidDocument:
                pass
        return bson.encode(escape_document(payload))
    except OverflowError as error:
        raise BadMessage(Reason.BAD_VALUE, "an integer is beyond 64 bits") from error
    except (bson.errors.BSONError, UnicodeError, ValueError) as error:
        raise BadMessage(Reason.BAD_VALUE, f"not a BSON value: {error}") from error
