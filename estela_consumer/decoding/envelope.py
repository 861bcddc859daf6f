"""What a message says around its payload."""

from __future__ import annotations

from typing import Any

import msgspec

from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter.errors import NestedTooDeeply, SerializationError
from estela_queue_adapter.serialization import deserialize


class Envelope(msgspec.Struct, gc=False):
    """The parts of an envelope that decide where its payload goes, and as what. Anything else is passed over.

    Only the payload is known to be what it should be; None is what is missing.
    """

    payload: dict[str, Any]
    jid: Any = None
    unique: Any = None
    id: Any = None
    db_name: Any = None
    dataset_name: Any = None


_parse = msgspec.json.Decoder(Envelope).decode


def read_envelope(data: bytes) -> Envelope:
    """The envelope in a message. Raises BadMessage."""
    try:
        return _parse(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_slowly(data)


def _read_slowly(data: bytes) -> Envelope:
    """The same for JSON that is not quite standard, and to find out what is wrong."""
    try:
        value = deserialize(data)
    except NestedTooDeeply as error:
        raise BadMessage(Reason.BAD_VALUE, str(error)) from error
    except SerializationError as error:
        raise BadMessage(Reason.UNDECODABLE, str(error)) from error
    if not isinstance(value, dict):
        raise BadMessage(Reason.BAD_ENVELOPE, f"a JSON {_kind(value)} is not an envelope")
    if "payload" not in value:
        raise BadMessage(Reason.BAD_ENVELOPE, "the envelope has no payload")
    if not isinstance(value["payload"], dict):
        raise BadMessage(
            Reason.BAD_ENVELOPE, f"the payload is a JSON {_kind(value['payload'])}, not an object"
        )
    return Envelope(**{name: value[name] for name in Envelope.__struct_fields__ if name in value})


def envelope_of(data: bytes, *, whole: bool = True) -> dict[str, Any]:
    """What an envelope says; of one that was cut short, what it says before its payload. Empty if nothing."""
    if not whole:
        data = data.partition(b'"payload"')[0].rstrip(b", ") + b"}"
    try:
        envelope = deserialize(data)
    except SerializationError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _kind(value: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", dict: "object"}
    return names.get(type(value), "null")
