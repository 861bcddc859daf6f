"""Taking over a unique collection that estela's consumer wrote: each document gets an id by its content.

estela gives equal items one document and a random id. Our ids are made of the content, so a message that
comes again after the switch would not meet what estela has stored. Here are the rules, and the order of the
steps; what a server must do for them is `Replacement`.
"""

from __future__ import annotations

import enum
import sqlite3
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import bson
from bson.dbref import DBRef
from bson.int64 import Int64
from bson.objectid import ObjectId

from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, OBJECT_ID_ELEMENT, decoded, with_id
from estela_consumer.decoding.escaping import escape_document, unescape_document
from estela_consumer.decoding.identity import content_id
from estela_consumer.errors import ConsumerError

_CHUNK_DOCUMENTS = 1_000
_CHUNK_BYTES = 4 * 1024 * 1024
_REPORT_INTERVAL = 5.0  # seconds
# Bytes of an ObjectId's `_id` in a document, behind the 4 of its size.
_ID_ELEMENT = len(OBJECT_ID_ELEMENT) + 12
_OF_JSON = frozenset({str, int, Int64, float, bool, type(None)})
_NAMES = {
    "datetime": "date",
    "DatetimeMS": "date",
    "bytes": "Binary",
}  # others have the name of their Python type


class AdoptionFailed(ConsumerError):
    """It stopped before its end; the collection is as it was."""


class Kind(enum.Enum):
    """What becomes of a document."""

    ADOPTED = "adopted"  # it gets an id by its content
    OURS = "ours"  # it has it already
    KEPT = "kept"  # no message of estela's can say it, so it stays as it is


class Adopted(NamedTuple):
    """A document as it is to be, and why."""

    kind: Kind
    bson: bytes
    reasons: tuple[str, ...] = ()
    """What no message of estela's can say; of KEPT alone."""


@dataclass(slots=True)
class AdoptionReport:
    """What became of a collection's documents."""

    documents: int = 0
    adopted: int = 0
    ours: int = 0
    merged: int = 0
    """How many of these are gone, because an equal one remains."""
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why documents were kept: what no message of estela's can say, and in how many of them it is."""
    clustered: bool = False
    changed: bool = False
    """Whether the collection was replaced."""

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {counted.name: getattr(self, counted.name) for counted in fields(self)}

    def count(self, document: Adopted) -> None:
        """Count one document more."""
        self.documents += 1
        self.adopted += document.kind is Kind.ADOPTED
        self.ours += document.kind is Kind.OURS
        self.kept += document.kind is Kind.KEPT
        self.reasons.update(document.reasons)


class Replacement(ABC):
    """Replaces one collection by another, in a store that can.

    Between `hold` and `release` or `swap`, nobody else's write succeeds: consumers of ours wait. Readers see
    the old collection until `swap`, and the new one from then on. Every method blocks, and raises
    StoreUnreachable.
    """

    estimated_count: int
    """About how many documents the old one has."""
    clustered: bool
    """Whether the old one is clustered on `_id`; after `swap`, whether the new one is."""

    @abstractmethod
    def documents(self) -> Iterator[bytes]:
        """The documents of the old collection."""

    @abstractmethod
    def hold(self) -> None:
        """Keep others from writing, and begin with no new collection. Raises UsageError if not permitted."""

    @abstractmethod
    def add(self, documents: Sequence[bytes]) -> int:
        """Write into the new one; how many it had already.

        Raises AdoptionFailed for a document that is refused.
        """

    @abstractmethod
    def swap(self, documents: int) -> None:
        """Put the new one, which must have so many documents, in the old one's place, in one step."""

    @abstractmethod
    def release(self) -> None:
        """Let others write, and drop the new one if it was not swapped. Safe to call at any time."""

    @abstractmethod
    def cancel(self) -> bool:
        """Undo an interrupted replacement; whether there was one."""


def adopted(stored: bytes) -> Adopted:
    """What becomes of one stored document."""
    try:
        document = _decoded(stored)
    except (bson.errors.BSONError, UnicodeError):
        return Adopted(Kind.KEPT, stored, ("invalid BSON",))
    identity = document.pop("_id")
    if isinstance(identity, ObjectId) and identity.binary == content_id(unescape_document(document)):
        return Adopted(Kind.OURS, stored)
    if foreign := _foreign(document):
        return Adopted(Kind.KEPT, stored, foreign)
    if not isinstance(identity, ObjectId):
        if foreign := _foreign(identity):
            return Adopted(Kind.KEPT, stored, tuple(f"{name} as _id" for name in foreign))
        # estela takes an item's own `_id` for the document's.
        return _with_content_id(stored, _estelas_payload({"_id": identity, **document}), None)
    return _with_content_id(stored, _estelas_payload(document), document)


def survey(documents: Iterable[bytes], report_progress: Callable[[int], None]) -> AdoptionReport:
    """What an adoption would do; takes a temporary file for the ids.

    `report_progress` is called every few seconds with the documents read so far.
    """
    report = AdoptionReport()
    with _KnownIds() as ids:
        for document in map(adopted, _counted(documents, report_progress)):
            report.count(document)
            report.merged += ids.add(document.bson)
        report.merged += ids.flush()
    return report


def adopt(replacement: Replacement, report_progress: Callable[[int], None]) -> AdoptionReport:
    """Replace the collection by one whose ids are ours; nothing is lost if it stops at any point.

    Raises UsageError, StoreUnreachable or AdoptionFailed; the collection is as it was then.
    """
    if replacement.clustered:
        report = survey(replacement.documents(), report_progress)
        if not report.adopted:
            replacement.cancel()  # what an interrupted run may have begun
            report.clustered = True
            return report
    report = AdoptionReport(changed=True)
    try:
        replacement.hold()
        for chunk in _chunks(map(adopted, _counted(replacement.documents(), report_progress))):
            for document in chunk:
                report.count(document)
            report.merged += replacement.add([document.bson for document in chunk])
        replacement.swap(report.documents - report.merged)
    finally:
        replacement.release()
    report.clustered = replacement.clustered
    return report


def _decoded(stored: bytes) -> dict[str, Any]:
    document = decoded(stored)
    return _without_references(document) if b"\x02$ref\x00" in stored else document


def _without_references(value: Any) -> Any:
    """pymongo takes an object that has `$ref` and `$id` for a reference; in an item it is an object."""
    if isinstance(value, DBRef):
        value = dict(value.as_doc())
    if isinstance(value, dict):
        return {key: _without_references(inner) for key, inner in value.items()}
    return [_without_references(inner) for inner in value] if isinstance(value, list) else value


def _with_content_id(stored: bytes, payload: dict[str, Any], as_stored: dict[str, Any] | None) -> Adopted:
    """`as_stored` is what `stored` has beside its ObjectId."""
    escaped = escape_document(payload)
    if escaped == as_stored:  # the very bytes, whatever Python would make of them
        size = len(stored) - _ID_ELEMENT
        encoded = size.to_bytes(4, "little") + stored[4 + _ID_ELEMENT :]
    else:
        encoded = bson.encode(escaped)
    document = with_id(content_id(payload), encoded)
    if len(document) > MAX_DOCUMENT_BYTES:
        return Adopted(Kind.KEPT, stored, ("over 16 MiB",))
    return Adopted(Kind.ADOPTED, document)


def _estelas_payload(value: Any) -> Any:
    """The payload behind what estela stored: it escapes dots, and nothing else."""
    if isinstance(value, dict):
        return {key.replace("\\u002e", "."): _estelas_payload(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_estelas_payload(inner) for inner in value]
    return value


def _foreign(value: Any) -> tuple[str, ...]:
    """The kinds of values in it that JSON, and so a message of estela's, does not know."""
    found: dict[str, None] = {}
    level = [value]
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
            elif type(item) not in _OF_JSON:
                name = type(item).__name__
                found[_NAMES.get(name, name)] = None
        level = inner
    return tuple(found)


def _chunks(documents: Iterable[Adopted]) -> Iterator[list[Adopted]]:
    chunk: list[Adopted] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += len(document.bson)
        if len(chunk) >= _CHUNK_DOCUMENTS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _counted(documents: Iterable[bytes], report_progress: Callable[[int], None]) -> Iterator[bytes]:
    reported = time.monotonic()
    for count, document in enumerate(documents):
        if time.monotonic() - reported >= _REPORT_INTERVAL:
            reported = time.monotonic()
            report_progress(count)
        yield document


class _KnownIds:
    """Which ids were there before, in a temporary file that is gone at the end."""

    _SQL_SCHEMA = "CREATE TABLE ids (id BLOB PRIMARY KEY) WITHOUT ROWID"
    _SQL_ADD = "INSERT OR IGNORE INTO ids VALUES (?)"

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.execute(self._SQL_SCHEMA)
        self._waiting: list[tuple[bytes]] = []

    def __enter__(self) -> _KnownIds:
        return self

    def __exit__(self, *error: object) -> None:
        self._db.close()

    def add(self, document: bytes) -> int:
        """How many of those added, this one or earlier ones, are now known to be equal to one before."""
        self._waiting.append((_encoded_id(document),))
        return self.flush() if len(self._waiting) >= _CHUNK_DOCUMENTS else 0

    def flush(self) -> int:
        """The same for those not yet looked up."""
        added = self._db.executemany(self._SQL_ADD, self._waiting).rowcount
        equal = len(self._waiting) - max(added, 0)
        self._waiting.clear()
        return equal


def _encoded_id(document: bytes) -> bytes:
    if document.startswith(OBJECT_ID_ELEMENT, 4):
        return document[4 : 4 + _ID_ELEMENT]
    return bson.encode({"_id": decoded(document)["_id"]})
