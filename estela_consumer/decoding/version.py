"""Versions: what a message with a key says of its document, besides its content."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE, Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from estela_consumer.decoding.metadata import jid_of, key_elements
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter.errors import BadName
from estela_wire.envelope import Envelope
from estela_wire.keys import BadKey, OnExisting, checked_key, key_id, moment_text
from estela_wire.shown import shown

_MODES = {mode.value: mode for mode in OnExisting}


class Version(NamedTuple):
    """One message's version of the document that its key has. Versions are in the order of their ids."""

    id: bytes
    """The message's id, 12 bytes."""
    key: tuple[str, ...]
    """The names of the key's fields, sorted."""
    on_existing: OnExisting
    jid: str | None
    seen_at: int
    """When it was scraped, in milliseconds since 1970; by its id if the message does not say."""
    content_end: int
    """Where in the document's BSON the scraped content ends, and `_estela` begins."""


make_version = functools.partial(tuple.__new__, Version)  # what the class does, in half the time


class Stream(NamedTuple):
    """What the keyed messages of a job that go one way have in common."""

    names: tuple[str, ...]
    """Of the key's fields."""
    key: tuple[str, ...]
    """The same, sorted."""
    on_existing: OnExisting
    jid: str | None
    elements: bytes
    """What `_estela` says of them, in BSON."""


def stream_of(envelope: Envelope) -> Stream:
    """What the envelope says that the next one says as well. Raises BadMessage."""
    key = envelope.key
    if type(key) is list:
        try:
            return _stream(envelope.jid, envelope.on_existing, tuple(key))
        except TypeError:  # nothing that can be remembered
            pass
    return _new_stream(envelope.jid, envelope.on_existing, key)


@functools.lru_cache(maxsize=2048)
def _stream(jid: Any, on_existing: Any, names: tuple[Any, ...]) -> Stream:
    return _new_stream(jid, on_existing, list(names))


def _new_stream(given: Any, on_existing: Any, names: Any) -> Stream:
    jid = jid_of(given)
    checked, key, mode = _key_and_mode(names, on_existing)
    return Stream(checked, key, mode, jid, key_elements(key, jid))


def _key_and_mode(names: Any, on_existing: Any) -> tuple[tuple[str, ...], tuple[str, ...], OnExisting]:
    try:
        checked = checked_key(names)
    except BadName as error:
        raise BadMessage(Reason.BAD_ENVELOPE, str(error)) from error
    mode = _MODES.get(on_existing) if isinstance(on_existing, str) else None
    if mode is None:
        raise BadMessage(
            Reason.BAD_ENVELOPE,
            f"on_existing is {shown(on_existing)}; with a key it must be one of {', '.join(_MODES)}",
        )
    return checked, tuple(sorted(checked)), mode


def document_id(names: tuple[str, ...], payload: dict[str, Any]) -> bytes:
    """The 12 bytes of the `_id` that the payload's key gives. Raises BadMessage."""
    try:
        return key_id(names, payload)
    except BadKey as error:
        if any(type(payload.get(name)) in _OF_BSON for name in names):
            return _document_id_of_types(names, payload)
        raise BadMessage(Reason.BAD_KEY, str(error)) from error


def _document_id_of_types(names: tuple[str, ...], payload: dict[str, Any]) -> bytes:
    try:
        return key_id(names, {name: _as_python(payload[name]) for name in names if name in payload})
    except BadKey as error:
        raise BadMessage(Reason.BAD_KEY, str(error)) from error


def _as_python(value: Any) -> Any:
    """A type of BSON's as the one of Python's that it stands for."""
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, Binary):
        is_uuid = value.subtype in (UUID_SUBTYPE, OLD_UUID_SUBTYPE) and len(value) == 16
        return value.as_uuid(value.subtype) if is_uuid else bytes(value)
    if isinstance(value, DatetimeMS):
        return moment_text(int(value))
    return value


_OF_BSON = (Decimal128, ObjectId, Binary, DatetimeMS)


def seen_at(scraped_at: int | None, identity: bytes) -> int:
    """When the message was scraped, or published if it does not say: milliseconds since 1970."""
    if scraped_at is not None:
        return scraped_at
    return 1000 * int.from_bytes(identity[:4], "big")
