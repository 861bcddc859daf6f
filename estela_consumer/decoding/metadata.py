"""The subdocument `_estela` of a document: which job has brought it, from where and when.

It is put together of bytes: most of it is the same in the next message, and the rest has a fixed form.
"""

from __future__ import annotations

import functools
import re
from datetime import datetime, timedelta, timezone
from struct import Struct
from typing import Any, NamedTuple

import bson

from estela_queue_adapter.errors import BadName
from estela_wire.jid import JidParts, parse_jid

SUBDOCUMENT = "_estela"
"""The field of a document that is ours; a scraped field of this name is stored under another."""
SUBDOCUMENT_ELEMENT = b"\x03_estela\x00"
"""How it begins in BSON; it is the last element of what is written here."""

_MAX_URL = 8_192  # characters; a longer one is left out
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)", re.ASCII)
_DATE = Struct("<q")
_INT32 = Struct("<i")
_ID = b"\x07id\x00"
_SCRAPED_AT = b"\x09scraped_at\x00"
_FIRST_SEEN, _LAST_SEEN, _REVISION = b"\x09first_seen\x00", b"\x09last_seen\x00", b"\x10revision\x00"
_END = b"\x00"
_TAIL_BYTES = len(_FIRST_SEEN) + len(_LAST_SEEN) + 2 * _DATE.size + len(_REVISION) + _INT32.size + 2
FIRST_REVISION = 1


class Metadata(NamedTuple):
    """Where and when a payload was scraped; None is what is not known, or not what it should be."""

    jid: str | None
    url: str | None
    scraped_at: int | None
    """Milliseconds since 1970."""


def metadata_of(jid: Any, given: Any) -> Metadata:
    """What an envelope says of itself. A value that is not as it should be costs itself alone."""
    fields = given if isinstance(given, dict) else {}
    url, scraped_at = fields.get("url"), fields.get("scraped_at")
    return Metadata(
        jid if isinstance(jid, str) and _parts(jid) is not None else None,
        url if isinstance(url, str) and len(url) <= _MAX_URL and _is_utf8(url) else None,
        milliseconds_of(scraped_at) if isinstance(scraped_at, str) else None,
    )


def milliseconds_of(text: str) -> int | None:
    """Milliseconds since 1970 of a moment in ISO 8601 with its time zone; None for any other text."""
    found = _ISO_8601.fullmatch(text)
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    zone = "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{zone}")
    except ValueError:
        return None
    return (moment - _EPOCH) // _MILLISECOND + int((fraction or "0").ljust(3, "0")[:3])


def plain_subdocument(metadata: Metadata) -> bytes:
    """The element `_estela` of a document without a key."""
    return _framed(_origin(metadata.jid) + _page(metadata))


def keyed_subdocument(metadata: Metadata, key: tuple[str, ...], identity: bytes, seen_at: int) -> bytes:
    """The element `_estela` of a document that one message has written: `identity` is the message's id.

    Its last elements have a fixed size, so that `with_marks` can replace them.
    """
    seen = _DATE.pack(seen_at)
    return _framed(
        b"%b%b%b%b%b%b%b%b%b%b" % (
            _ID, identity, _key_element(key) + _origin(metadata.jid), _page(metadata),
            _FIRST_SEEN, seen, _LAST_SEEN, seen, _REVISION, _INT32.pack(FIRST_REVISION),
        )
    )  # fmt: skip


def with_marks(document: bytes, first_seen: int, last_seen: int, revision: int) -> bytes:
    """A document that ends as `keyed_subdocument` has made it, with these in the place of its own."""
    return b"%b%b%b%b%b%b%b\x00\x00" % (
        document[:-_TAIL_BYTES],
        _FIRST_SEEN, _DATE.pack(first_seen), _LAST_SEEN, _DATE.pack(last_seen),
        _REVISION, _INT32.pack(revision),
    )  # fmt: skip


def with_element(document: bytes, element: bytes) -> bytes:
    """The BSON document with one more element at its end."""
    return (len(document) + len(element)).to_bytes(4, "little") + document[4:-1] + element + _END


def names_of(jid: str | None) -> dict[str, str]:
    """The fields that a jid gives; none if there is no jid."""
    parts = _parts(jid) if jid else None
    return {} if parts is None else parts._asdict()


def _framed(elements: bytes) -> bytes:
    size = 4 + len(elements) + 1
    return SUBDOCUMENT_ELEMENT + size.to_bytes(4, "little") + elements + _END


@functools.lru_cache(maxsize=2048)
def _parts(jid: str) -> JidParts | None:
    try:
        parts = parse_jid(jid)
    except BadName:
        return None
    return parts if _is_utf8(jid) else None


@functools.lru_cache(maxsize=2048)
def _origin(jid: str | None) -> bytes:
    return bson.encode(names_of(jid))[4:-1]


@functools.lru_cache(maxsize=256)
def _key_element(key: tuple[str, ...]) -> bytes:
    return bson.encode({"key": list(key)})[4:-1]


def _page(metadata: Metadata) -> bytes:
    url = b"" if metadata.url is None else _text_element(b"url", metadata.url)
    if metadata.scraped_at is None:
        return url
    return url + _SCRAPED_AT + _DATE.pack(metadata.scraped_at)


def _text_element(name: bytes, value: str) -> bytes:
    encoded = value.encode()
    return b"\x02%b\x00%b%b\x00" % (name, (len(encoded) + 1).to_bytes(4, "little"), encoded)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
