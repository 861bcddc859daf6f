"""A dataset with a key, made of one without: each document is a version of the document that its key has."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import bson
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document, with_id
from estela_consumer.decoding.escaping import unescape_document
from estela_consumer.decoding.metadata import (
    SUBDOCUMENT,
    Metadata,
    key_elements,
    keyed_subdocument,
    url_bytes,
)
from estela_consumer.decoding.version import Version, document_id, seen_at
from estela_consumer.errors import BadMessage, StoreUnreachable
from estela_consumer.stores import Outcome, Store
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from estela_wire.jid import make_jid
from estela_wire.keys import OnExisting

_CHUNK = 1_000  # documents
_ATTEMPTS = 20  # to write one chunk, in which others may write to the same documents
_MAX_NAMED = 20  # documents that cannot be taken over, of which it is said why
_NO_MESSAGE = Message("", 0, 0, 0.0, None, None, ())


class Rekeying:
    """Reads one dataset and writes the other; done twice it changes nothing."""

    def __init__(self, store: Store, key: Sequence[str], mode: OnExisting) -> None:
        self.outcomes: Counter[str] = Counter()
        """How many documents were stored, present, superseded and refused."""
        self.refusals: list[str] = []
        """Why some were refused; the first ones."""
        self._store = store
        self._key = tuple(key)
        self._mode = mode

    def run(self, source: Dataset, target: Dataset) -> None:
        """Take over all documents. Blocks. Raises StoreUnreachable."""
        chunk: list[Document] = []
        for document in self._documents(source, target):
            chunk.append(document)
            if len(chunk) >= _CHUNK:
                self._write(target, chunk)
                chunk = []
        if chunk:
            self._write(target, chunk)

    def _documents(self, source: Dataset, target: Dataset) -> Iterator[Document]:
        for found in self._store.read(source):
            try:
                yield _versioned(found, target, self._key, self._mode)
            except BadMessage as error:
                self._refuse(found.get("_id"), error)

    def _write(self, target: Dataset, documents: list[Document]) -> None:
        for _ in range(_ATTEMPTS):
            again = []
            for document, verdict in zip(documents, self._store.write_keyed(target, documents), strict=True):
                if isinstance(verdict, StoreUnreachable):
                    raise verdict
                if verdict is Outcome.RETRY:
                    again.append(document)
                elif isinstance(verdict, Outcome):
                    self.outcomes[verdict.value] += 1
                else:
                    self._refuse(document.id, verdict)
            if not again:
                return
            documents = again
        raise StoreUnreachable(
            f"{len(documents)} documents of {target} are written to by others all the time"
        )

    def _refuse(self, identity: Any, error: BadMessage) -> None:
        self.outcomes["refused"] += 1
        if len(self.refusals) < _MAX_NAMED:
            self.refusals.append(f"{identity}: {error}")


def _versioned(found: dict[str, Any], target: Dataset, key: tuple[str, ...], mode: OnExisting) -> Document:
    """The stored document as a version of the document that its key has. Raises BadMessage."""
    identity, ours = found.get("_id"), found.get(SUBDOCUMENT)
    content = {name: value for name, value in found.items() if name not in ("_id", SUBDOCUMENT)}
    names, of_key = tuple(sorted(key)), document_id(key, unescape_document(content))
    version_id = identity.binary if isinstance(identity, ObjectId) else _digest(identity)
    metadata = _metadata(ours if isinstance(ours, dict) else {})
    at = seen_at(metadata.scraped_at, version_id)
    elements = key_elements(names, metadata.jid)
    subdocument = keyed_subdocument(elements, metadata.url, metadata.scraped_at, version_id, at)
    encoded = with_id(of_key, bson.encode(content), subdocument)
    version = Version(version_id, names, mode, metadata.jid, at, len(encoded) - len(subdocument) - 1)
    return Document(target, encoded, _NO_MESSAGE, version)


def _metadata(ours: dict[str, Any]) -> Metadata:
    job, spider, project = (ours.get(name) for name in ("job", "spider", "project"))
    parts = [part for part in (job, spider, project) if isinstance(part, str) and part]
    url = ours.get("url")
    return Metadata(
        make_jid(*parts) if len(parts) == 3 else None,
        url_bytes(url) if isinstance(url, str) else None,
        _milliseconds(ours.get("scraped_at")),
    )


def _milliseconds(value: Any) -> int | None:
    if isinstance(value, datetime):
        return int(DatetimeMS(value))
    return int(value) if isinstance(value, DatetimeMS) else None


def _digest(identity: Any) -> bytes:
    """The id of a version whose document has an `_id` of another type: before all others, so the oldest."""
    return bytes(4) + hashlib.sha256(repr(identity).encode()).digest()[:8]
