"""A document with a key as it is stored: its content, and its `_estela`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document
from estela_consumer.decoding.metadata import FIRST_REVISION, SUBDOCUMENT, SUBDOCUMENT_ELEMENT
from estela_consumer.decoding.version import Version

# Dates of any year, so that what is read can be written again as it was.
_EXACT: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)


class NotKeyed(ValueError):
    """A document was not written for a key, or somebody has edited its `_estela`."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of a keyed dataset."""

    raw: bytes
    """All of it, or `_id` and `_estela` alone."""
    decoded: dict[str, Any]
    """The same; dates are DatetimeMS."""
    subdocument: dict[str, Any]
    """`_estela`."""
    id: bytes
    """The id of the version that it has: the newest, or for KEEP the oldest."""
    revision: int
    """Goes up by one with each write."""
    first_seen: int
    last_seen: int
    history: list[Any] = field(default_factory=list, compare=False)
    """What `tracking.entries_of` has read of it."""

    @classmethod
    def from_bson(cls, raw: bytes) -> StoredDocument:
        """Read one. Raises NotKeyed."""
        try:
            decoded = decode(raw)
        except bson.errors.BSONError as error:
            raise NotKeyed(f"it cannot be read: {error}") from error
        found = decoded.get(SUBDOCUMENT)
        fields = found if isinstance(found, dict) else {}
        identity, revision = fields.get("id"), fields.get("revision")
        first_seen, last_seen = fields.get("first_seen"), fields.get("last_seen")
        if not (
            isinstance(identity, ObjectId)
            and isinstance(revision, int)
            and isinstance(first_seen, DatetimeMS)
            and isinstance(last_seen, DatetimeMS)
        ):
            raise NotKeyed("its _estela has no id, revision, first_seen and last_seen of ours")
        return cls(raw, decoded, fields, identity.binary, revision, int(first_seen), int(last_seen))

    @property
    def content(self) -> dict[str, Any]:
        """The scraped fields, as they are stored; a new object."""
        return _content(dict(self.decoded))

    def has_content_of(self, document: Document) -> bool:
        """Whether its content is the document's, byte by byte. If not, it may still say the same."""
        end = version_of(document).content_end
        begin = end + len(
            SUBDOCUMENT_ELEMENT
        )  # of `_estela`, which is the last field unless somebody added one
        return (
            self.raw.startswith(document.bson[4:end], 4)
            and self.raw.startswith(SUBDOCUMENT_ELEMENT, end)
            and begin + int.from_bytes(self.raw[begin : begin + 4], "little") + 1 == len(self.raw)
        )

    @property
    def has_one_version(self) -> bool:
        """Whether it is as the first message has written it."""
        return self.revision == FIRST_REVISION


def decode(encoded: bytes) -> dict[str, Any]:
    """The document, with dates of any year as DatetimeMS."""
    return bson.decode(encoded, _EXACT)


def content_of(document: Document) -> dict[str, Any]:
    """The scraped fields of a message's document, as they are stored; a new object."""
    return _content(decode(document.bson))


def subdocument_of(document: Document) -> dict[str, Any]:
    """The `_estela` of a message's document; a new object."""
    version = version_of(document)
    element = document.bson[version.content_end : -1]
    return dict(decode((len(element) + 5).to_bytes(4, "little") + element + b"\x00")[SUBDOCUMENT])


def version_of(document: Document) -> Version:
    """The version of a document that has a key, as all here have."""
    version = document.version
    assert version is not None
    return version


def whole(identity: Any, content: Mapping[str, Any], subdocument: Mapping[str, Any]) -> bytes:
    """The document in BSON. Raises as BSON does for what it cannot hold."""
    return bson.encode({"_id": identity, **content, SUBDOCUMENT: subdocument})


def _content(document: dict[str, Any]) -> dict[str, Any]:
    document.pop("_id", None)
    document.pop(SUBDOCUMENT, None)
    return document
