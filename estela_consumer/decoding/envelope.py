"""Reading the envelope of a message."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter.errors import NestedTooDeeply, SerializationError
from estela_queue_adapter.serialization import deserialize
from estela_wire.envelope import Envelope

_MAX_DEPTH = 300  # levels of nesting; MongoDB takes 200
_PAYLOAD = re.compile(rb'"payload"\s*:')  # the field; the text alone may be a jid
MAY_BE_DEEP = 2 * _MAX_DEPTH
"""Bytes: what is shorter has fewer levels."""

parse_envelope = msgspec.json.Decoder(Envelope).decode
"""The envelope in a message of standard JSON; raises NOT_READ."""
NOT_READ = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_envelope(data: bytes) -> Envelope:
    """The envelope in a message. Raises BadMessage."""
    try:
        return parse_envelope(data)
    except NOT_READ:
        return _read_slowly(data)


def check_depth(payload: dict[str, Any], data: bytes) -> None:
    """Raise BadMessage for what is nested so deeply that looking into it would exhaust the stack.

    `data` is the JSON that the payload was in.
    """
    if data.count(b"{") + data.count(b"[") <= _MAX_DEPTH:
        return
    level: list[Any] = [payload]
    for _ in range(_MAX_DEPTH):
        values = [value.values() if type(value) is dict else value for value in level]
        level = [inner for inners in values for inner in inners if type(inner) in (dict, list)]
        if not level:
            return
    raise BadMessage(Reason.BAD_VALUE, f"the payload is nested more than {_MAX_DEPTH} levels deep")


def salvaged_envelope(data: bytes, *, whole: bool = True) -> Envelope:
    """What can be read of an envelope that may be malformed; no field if nothing can.

    Of one that is not `whole`, because it was cut, only what stands before the payload is read.
    """
    if not whole:
        data = _PAYLOAD.split(data, maxsplit=1)[0].rstrip(b", ") + b"}"
    try:
        value = deserialize(data)
    except SerializationError:
        value = None
    return _envelope_of({"payload": {}, **value} if isinstance(value, dict) else {"payload": {}})


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
    return _envelope_of(value)


def _envelope_of(fields: dict[str, Any]) -> Envelope:
    return Envelope(**{name: fields[name] for name in Envelope.__struct_fields__ if name in fields})


def _kind(value: Any) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", dict: "object"}
    return names.get(type(value), "null")
