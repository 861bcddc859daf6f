"""The envelope: what a message says around its payload, as it is written and as it is read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec

from estela_queue_adapter.serialization import serialize
from estela_wire.typed_values import ExtendedJson

MAX_URL = 8_192
"""Characters of a page's address in the metadata: one of the kind `data:` may be a whole page."""


class Envelope(msgspec.Struct, gc=False):
    """The fields that decide where a payload goes, and as what. Any other is ignored.

    Foreign data: only the payload is known to be what it should be. None is what is missing.
    """

    payload: dict[str, Any]
    jid: Any = None
    """`<job>.<spider>.<project>`."""
    unique: Any = None
    """Whether equal payloads are one document: the text `True` or `False`, as estela writes it."""
    id: Any = None
    """The message's id, 24 hex digits; estela's own messages have none."""
    db_name: Any = None
    """The database, instead of the jid's project."""
    dataset_name: Any = None
    """The collection, instead of one named after the jid and the topic."""
    types: Any = None
    """`bson` if the payload is MongoDB's Extended JSON."""
    key: Any = None
    """The names of the fields that tell the dataset's documents apart, a list; without it each message has a
    document of its own."""
    on_existing: Any = None
    """What becomes of a document with the same key: a value of OnExisting."""
    metadata: Any = None
    """Where and when the payload was scraped: an object with `url` and `scraped_at`."""


class EnvelopeWriter:
    """Writes the envelopes of one stream: all but `id`, `metadata` and `payload` is the same in each."""

    def __init__(
        self,
        jid: str,
        *,
        unique: bool,
        names: Mapping[str, str],
        key: Sequence[str] = (),
        on_existing: str = "",
    ) -> None:
        """`names` are `db_name` and `dataset_name`, as far as they are given.

        `key` are the fields that tell documents apart, and `on_existing` says what becomes of one that is
        there; both are left out if there is no key.
        """
        keyed = {"key": list(key), "on_existing": on_existing} if key else {}
        self._head = serialize({"jid": jid, "unique": str(unique), **names, **keyed})[:-1]

    def write(self, identity: bytes, payload: bytes, metadata: bytes = b"") -> bytes:
        """The envelope around a payload that is JSON already, as the metadata are if there are any.

        It says so if the payload is Extended JSON. `identity` is 24 hex digits.
        """
        types = b'"types":"bson",' if type(payload) is ExtendedJson else b""
        if metadata:
            return b'%b,"id":"%b","metadata":%b,%b"payload":%b}' % (
                self._head, identity, metadata, types, payload,
            )  # fmt: skip
        return b'%b,"id":"%b",%b"payload":%b}' % (self._head, identity, types, payload)


class MetadataWriter:
    """Writes the metadata of one stream's envelopes: the page, if there is one, and the time.

    The time is ISO 8601 in UTC with milliseconds, such as 2026-01-31T09:30:15.123Z. May be called from
    several threads. What is the same in the next message is kept, in one object each: none is half new.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._page: tuple[str | None, bytes] = (None, b'{"scraped_at":"')
        self._second: tuple[int, bytes] = (-1, b"")

    def write(self, url: str | None) -> bytes:
        """The metadata as JSON of what is scraped now from the page `url`; a long one is left out."""
        now = self._clock()
        page, head = self._page
        if url != page:
            is_named = url is not None and len(url) <= MAX_URL
            head = b'{"url":%b,"scraped_at":"' % serialize(url) if is_named else b'{"scraped_at":"'
            self._page = (url, head)
        second, text = self._second
        whole = int(now)
        if whole != second:
            text = datetime.fromtimestamp(whole, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S").encode()
            self._second = (whole, text)
        return b'%b%b.%03dZ"}' % (head, text, int((now - whole) * 1000))
