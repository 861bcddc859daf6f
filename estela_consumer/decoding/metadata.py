"""The subdocument `_estela` of a document: which job has brought it, from where and when.

It is put together of bytes: most of it is the same in the next message, and the rest has a fixed form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
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
_SECOND = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", re.ASCII)
_ISO_8601 = re.compile(rf"({_SECOND.pattern})(?:\.(\d{{1,9}}))?(Z|[+-]\d\d:?\d\d)", re.ASCII)
_LENGTH = len("2026-01-31T09:30:15.123Z")  # as the extension writes it
_MILLISECONDS = {f"{number:03}": number for number in range(1000)}  # faster than to see if it is three digits
_DATE = Struct("<q")
_INT32 = Struct("<i")
_ID = b"\x07id\x00"
_SCRAPED_AT = b"\x09scraped_at\x00"
_FIRST_SEEN, _LAST_SEEN, _REVISION = b"\x09first_seen\x00", b"\x09last_seen\x00", b"\x10revision\x00"
_END = b"\x00"
_TAIL_BYTES = len(_FIRST_SEEN) + len(_LAST_SEEN) + 2 * _DATE.size + len(_REVISION) + _INT32.size + 2
FIRST_REVISION = 1
_FIRST = _REVISION + _INT32.pack(FIRST_REVISION) + _END
_KEYED_BYTES = 4 + len(_ID) + 12 + _TAIL_BYTES - 1  # of the subdocument, without what differs in length


class Metadata(NamedTuple):
    """Where and when a payload was scraped; None is what is not known, or not what it should be."""

    jid: str | None
    url: bytes | None
    """In UTF-8."""
    scraped_at: int | None
    """Milliseconds since 1970."""


def metadata_of(jid: Any, given: Any) -> Metadata:
    """What an envelope says of itself. A value that is not as it should be costs itself alone."""
    return Metadata(jid_of(jid), *page_of(given))


def jid_of(jid: Any) -> str | None:
    """The jid, if it is one."""
    return jid if type(jid) is str and _parts(jid) is not None else None


def page_of(given: Any) -> tuple[bytes | None, int | None]:
    """The URL, in UTF-8, and the moment, in milliseconds since 1970, that an envelope's metadata say."""
    if type(given) is not dict:
        return None, None
    url, scraped_at = given.get("url"), given.get("scraped_at")
    return (
        url_bytes(url) if type(url) is str else None,
        milliseconds_of(scraped_at) if type(scraped_at) is str else None,
    )


def is_of(document: Mapping[str, Any], origin: Mapping[str, str]) -> bool:
    """Whether a stored document's metadata have these values."""
    metadata = document.get(SUBDOCUMENT)
    return isinstance(metadata, dict) and all(metadata.get(name) == value for name, value in origin.items())


def milliseconds_of(text: str) -> int | None:
    """Milliseconds since 1970 of a moment in ISO 8601 with its time zone; None for any other text."""
    if len(text) == _LENGTH and text[19] == "." and text[23] == "Z":
        milliseconds = _MILLISECONDS.get(text[20:23])
        if milliseconds is not None:
            second = _second(text[:19])  # most items are scraped in the second of the one before
            return None if second is None else second + milliseconds
    found = _ISO_8601.fullmatch(text)
    if found is None:
        return None
    day_and_time, fraction, zone = found.groups()
    second = _second(day_and_time, zone)
    return None if second is None else second + int((fraction or "0").ljust(3, "0")[:3])


@lru_cache(maxsize=1024)
def _second(text: str, zone: str = "Z") -> int | None:
    """Milliseconds since 1970 at the beginning of a second."""
    if _SECOND.fullmatch(text) is None:
        return None
    zone = "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        return (datetime.fromisoformat(f"{text}{zone}") - _EPOCH) // _MILLISECOND
    except ValueError:
        return None


def plain_subdocument(metadata: Metadata) -> bytes:
    """The element `_estela` of a document without a key."""
    return _framed(_origin(metadata.jid) + _page(metadata.url, metadata.scraped_at))


def keyed_subdocument(
    names: bytes, url: bytes | None, scraped_at: int | None, identity: bytes, seen_at: int
) -> bytes:
    """The element `_estela` of a document that one message has written: `identity` is the message's id.

    `names` are what `key_elements` gives. Its last elements have a fixed size, so that `with_marks` can
    replace them.
    """
    seen, page = _DATE.pack(seen_at), _page(url, scraped_at)
    size = (_KEYED_BYTES + len(names) + len(page)).to_bytes(4, "little")
    return b"".join((
        SUBDOCUMENT_ELEMENT, size, _ID, identity, names, page, _FIRST_SEEN, seen, _LAST_SEEN, seen, _FIRST
    ))  # fmt: skip


def with_marks(document: bytes, first_seen: int, last_seen: int, revision: int) -> bytes:
    """A document that ends as `keyed_subdocument` has made it, with these in the place of its own."""
    return b"%b%b%b%b%b%b%b\x00\x00" % (
        document[:-_TAIL_BYTES],
        _FIRST_SEEN, _DATE.pack(first_seen), _LAST_SEEN, _DATE.pack(last_seen),
        _REVISION, _INT32.pack(revision),
    )  # fmt: skip


def names_of(jid: str | None) -> dict[str, str]:
    """The fields that a jid gives; none if there is no jid."""
    parts = _parts(jid) if jid else None
    return {} if parts is None else parts._asdict()


def _framed(elements: bytes) -> bytes:
    size = 4 + len(elements) + 1
    return SUBDOCUMENT_ELEMENT + size.to_bytes(4, "little") + elements + _END


@lru_cache(maxsize=2048)
def _parts(jid: str) -> JidParts | None:
    try:
        parts = parse_jid(jid)
    except BadName:
        return None
    return parts if _is_utf8(jid) else None


@lru_cache(maxsize=2048)
def _origin(jid: str | None) -> bytes:
    return bson.encode(names_of(jid))[4:-1]


def key_elements(key: tuple[str, ...], jid: str | None) -> bytes:
    """What `_estela` says of the names of the key's fields, sorted, and of the job."""
    return bson.encode({"key": list(key)})[4:-1] + _origin(jid)


def _page(url: bytes | None, scraped_at: int | None) -> bytes:
    if url is None:
        return b"" if scraped_at is None else _SCRAPED_AT + _DATE.pack(scraped_at)
    size = (len(url) + 1).to_bytes(4, "little")
    if scraped_at is None:
        return b"\x02url\x00%b%b\x00" % (size, url)
    return b"\x02url\x00%b%b\x00\x09scraped_at\x00%b" % (size, url, _DATE.pack(scraped_at))


def url_bytes(url: str) -> bytes | None:
    """The URL in UTF-8; None if the document is better without it."""
    try:
        return url.encode() if len(url) <= _MAX_URL else None
    except UnicodeEncodeError:
        return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
