"""Whether each message of a keyed job has had its effect: none has a document of its own to be counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import bson
from bson.objectid import ObjectId

from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage
from estela_consumer.keyed.stored import NotKeyed, StoredDocument, version_of
from estela_consumer.keyed.tracking import expected_changes, is_change, is_pending
from estela_consumer.keyed.updating import field_ids
from estela_consumer.stores import Store
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from estela_wire.keys import OnExisting, changes_of

_AT_ONCE = 1_000  # documents that are looked up together


class KeyedMessages:
    """Takes consumed messages one by one, and looks their documents up in the store, many at a time.

    A message has had its effect if the document of its key is of this message or of one that goes before it:
    a newer one, or for KEEP an older one; for UPDATE, if each field that it carried is of it or of a newer
    one; for TRACK, if also the changes that the document remembers are stored as they should be.
    """

    def __init__(self, store: Store, dead_lettered: Collection[bytes]) -> None:
        """`dead_lettered` are the ids of messages that have a dead letter instead."""
        self.without_effect = 0
        """How many have had none so far."""
        self._store = store
        self._dead_lettered = dead_lettered
        self._waiting: dict[Dataset, list[Document]] = defaultdict(list)

    def add(self, identity: bytes, message: Message) -> None:
        """Take one, with its id. Raises StoreUnreachable."""
        if identity in self._dead_lettered:
            return
        try:
            document = decode(message)
        except BadMessage:
            document = None
        if document is None or document.version is None:
            self.without_effect += 1  # its dead letter is gone, or it has no key, though its job says so
            return
        waiting = self._waiting[document.dataset]
        waiting.append(document)
        if len(waiting) >= _AT_ONCE:
            self._look_up(document.dataset, waiting)
            waiting.clear()

    def finish(self) -> None:
        """Look up the rest. Raises StoreUnreachable."""
        for dataset, waiting in self._waiting.items():
            self._look_up(dataset, waiting)
        self._waiting.clear()

    def _look_up(self, dataset: Dataset, documents: list[Document]) -> None:
        wanted = {document.bson[9:21] for document in documents}
        stored: dict[bytes, StoredDocument] = {}
        for raw in self._store.find(dataset, [ObjectId(key) for key in wanted]):
            try:
                stored[raw[9:21]] = StoredDocument.from_bson(raw)
            except NotKeyed:
                continue  # as if it were not there: it says nothing of its messages
        tracked = {
            document.bson[9:21]
            for document in documents
            if version_of(document).on_existing is OnExisting.TRACK
        }
        wrong = self._with_wrong_changes(dataset, {key: stored[key] for key in tracked & stored.keys()})
        for document in documents:
            key = document.bson[9:21]
            if key not in stored or key in wrong or not _has_effect(document, stored[key]):
                self.without_effect += 1

    def _with_wrong_changes(self, dataset: Dataset, stored: dict[bytes, StoredDocument]) -> set[bytes]:
        """The keys of tracked documents whose changes are not stored as they say."""
        wrong: set[bytes] = set()
        expected: dict[bytes, tuple[bytes, dict[str, Any] | None]] = {}
        for key, document in stored.items():
            try:
                changes = expected_changes(document, ObjectId(key))
            except NotKeyed:
                wrong.add(key)
                continue
            if is_pending(document):
                wrong.add(key)
            expected |= {identity: (key, change) for identity, change in changes.items()}
        found = {}
        if expected:
            ids = [ObjectId(identity) for identity in expected]
            found = {raw[9:21]: raw for raw in self._store.find(changes_of(dataset), ids)}
        for identity, (key, change) in expected.items():
            raw = found.get(identity)
            if (raw is None) != (change is None) or (raw and change and not is_change(raw, change)):
                wrong.add(key)
        return wrong


def _has_effect(document: Document, stored: StoredDocument) -> bool:
    version = version_of(document)
    if version.on_existing is OnExisting.KEEP:
        return stored.id <= version.id
    if version.on_existing is not OnExisting.UPDATE:
        return stored.id >= version.id
    try:
        ids = field_ids(stored)
    except NotKeyed:
        return False
    names = bson.decode(document.bson).keys() - {"_id", "_estela"}
    return all(ids.get(name, b"") >= version.id for name in names)
