"""From the bytes of a message to the bytes of a document."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import bson
from bson.objectid import ObjectId

from estela_consumer.datasets import STATS_TOPIC, dataset_of, stats_id
from estela_consumer.documents import MAX_DOCUMENT_BYTES, Document, canonical
from estela_consumer.errors import BadMessage, Reason
from estela_consumer.escaping import escape_document
from estela_consumer.origin import origin_of
from estela_queue_adapter import Message
from estela_queue_adapter.errors import SerializationError


def decode(message: Message) -> Document | None:
    """The document that the message carries; None for a tombstone. Raises BadMessage."""
    if message.data is None:
        return None
    envelope = _envelope(message)
    payload = envelope["payload"]
    try:
        dataset = dataset_of(
            message.topic, envelope.get("jid"), envelope.get("db_name"), envelope.get("dataset_name")
        )
    except TypeError as error:  # a list or an object where a name belongs
        raise BadMessage(Reason.BAD_NAME, f"a name is not a string: {error}") from error
    try:
        identity = _identity(message, envelope, payload)
        return Document(dataset, identity, _encode(identity, payload), message)
    except RecursionError as error:
        raise BadMessage(Reason.BAD_VALUE, "the payload is nested too deeply") from error


def _envelope(message: Message) -> dict[str, Any]:
    try:
        envelope = message.value
    except SerializationError as error:
        raise BadMessage(Reason.UNDECODABLE, str(error)) from error
    if not isinstance(envelope, dict):
        raise BadMessage(Reason.BAD_ENVELOPE, f"a JSON {_kind(envelope)} is not an envelope")
    if "payload" not in envelope:
        raise BadMessage(Reason.BAD_ENVELOPE, "the envelope has no payload")
    if not isinstance(envelope["payload"], dict):
        raise BadMessage(
            Reason.BAD_ENVELOPE, f"the payload is a JSON {_kind(envelope['payload'])}, not an object"
        )
    return envelope


def _identity(message: Message, envelope: dict[str, Any], payload: dict[str, Any]) -> ObjectId | str:
    """The `_id`: decided by the message alone, so that a re-delivered message meets itself."""
    if message.topic == STATS_TOPIC:
        return stats_id(envelope.get("jid"))
    if envelope.get("unique") in ("True", True):
        return ObjectId(hashlib.sha256(canonical(payload)).digest()[:12])
    given = envelope.get("id")
    if given is None:
        origin = origin_of(message)
        seconds = (int(origin.timestamp) & 0xFFFFFFFF).to_bytes(4, "big")
        place = _place(origin.topic, origin.partition)
        return ObjectId(seconds + place + (origin.offset & 0xFFFFFF).to_bytes(3, "big"))
    try:
        return ObjectId(given)
    except (bson.errors.InvalidId, TypeError) as error:
        raise BadMessage(Reason.BAD_ENVELOPE, f"the envelope's id is not 24 hex digits: {error}") from error


@lru_cache(maxsize=1024)
def _place(topic: str, partition: int) -> bytes:
    return hashlib.sha256(f"{topic}/{partition}".encode()).digest()[:5]


def _encode(identity: ObjectId | str, payload: dict[str, Any]) -> bytes:
    try:
        encoded = bson.encode({"_id": identity, **escape_document(payload)})
    except OverflowError as error:
        raise BadMessage(Reason.BAD_VALUE, "an integer is beyond 64 bits") from error
    except (bson.errors.BSONError, UnicodeError, ValueError) as error:
        raise BadMessage(Reason.BAD_VALUE, f"not a BSON value: {error}") from error
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise BadMessage(
            Reason.TOO_LARGE, f"{len(encoded):,} bytes as a document, over {MAX_DOCUMENT_BYTES:,}"
        )
    return encoded


def _kind(value: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", dict: "object"}
    return names.get(type(value), "null")
