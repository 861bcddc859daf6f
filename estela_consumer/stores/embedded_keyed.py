"""Keyed writes of the embedded store: one transaction for a chunk, so nothing is ever half done."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

import bson
from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document
from estela_consumer.decoding.metadata import SUBDOCUMENT
from estela_consumer.errors import BadMessage, Reason
from estela_consumer.keyed.kinds import Kind, kind_of, mismatch
from estela_consumer.keyed.planning import make_plan
from estela_consumer.keyed.plans import Plan
from estela_consumer.keyed.stored import NotKeyed, StoredDocument, decode, version_of
from estela_consumer.keyed.tracking import settled
from estela_consumer.stores.interface import Outcome, Verdict
from estela_wire.dataset import Dataset
from estela_wire.keys import OnExisting

_SQL_FIRST = "SELECT bson FROM documents WHERE dataset = ? ORDER BY id LIMIT 1"
_SQL_ONE = "SELECT bson FROM documents WHERE dataset = ? AND id = ?"
_SQL_PUT = "INSERT OR REPLACE INTO documents (dataset, id, bson) VALUES (?, ?, ?)"

logger = logging.getLogger(__name__)


def kind_in(db: sqlite3.Connection, number: int) -> Kind | None:
    """The kind of the documents in dataset `number`; None if there is none."""
    row = db.execute(_SQL_FIRST, (number,)).fetchone()
    return None if row is None else kind_of(decode(row[0]))


class KeyedRows:
    """The writes of one transaction to one dataset; `number` is the dataset's, `changes` its changes'."""

    def __init__(self, db: sqlite3.Connection, dataset: Dataset, number: int, changes: int) -> None:
        self._db = db
        self._dataset = dataset
        self._number = number
        self._changes = changes

    def write(self, documents: Sequence[Document]) -> list[Verdict]:
        """As a store's `write_keyed`; raises what SQLite raises."""
        kind = kind_in(self._db, self._number) or Kind(version_of(documents[0]).key)
        groups: dict[tuple[bytes, OnExisting], list[Document]] = {}
        verdicts: dict[int, Verdict] = {}
        for document in documents:
            version = version_of(document)
            if version.key != kind.key:
                verdicts[id(document)] = mismatch(self._dataset, kind, Kind(version.key))
                continue
            groups.setdefault((document.bson[9:21], version.on_existing), []).append(document)
        if verdicts:
            logger.error(
                "%d message(s) become dead letters: %s", len(verdicts), next(iter(verdicts.values()))
            )
        for (key, mode), group in groups.items():
            self._write_group(key, mode, group, verdicts)
        return [verdicts[id(document)] for document in documents]

    def _write_group(
        self, key: bytes, mode: OnExisting, group: Sequence[Document], verdicts: dict[int, Verdict]
    ) -> None:
        """All at once, or one by one if that is refused: it may be the fault of one alone."""
        try:
            plan = self._apply(key, mode, group)
        except BadMessage as error:
            if len(group) == 1:
                verdicts[id(group[0])] = error
                return
            for document in group:
                self._write_group(key, mode, [document], verdicts)
            return
        counted: set[bytes] = set()
        for document in group:
            identity = version_of(document).id
            if identity in plan.stored and identity not in counted:
                verdicts[id(document)] = Outcome.STORED
            elif identity in plan.stored or identity in plan.present:
                verdicts[id(document)] = Outcome.PRESENT
            else:
                verdicts[id(document)] = Outcome.SUPERSEDED
            counted.add(identity)

    def _apply(self, key: bytes, mode: OnExisting, group: Sequence[Document]) -> Plan:
        row = self._db.execute(_SQL_ONE, (self._number, key)).fetchone()
        try:
            stored = None if row is None else StoredDocument.from_bson(row[0])
            plan = make_plan(mode, stored, group)
        except NotKeyed as error:
            raise BadMessage(
                Reason.KEY_MISMATCH,
                f"the document {ObjectId(key)} of {self._dataset} cannot take a further version: {error}. "
                "Remove it, and replay the dead letters",
            ) from error
        if plan.writes:
            self._put(key, _encoded(plan, stored))
            for identity, change in plan.changes.items():
                self._db.execute(_SQL_PUT, (self._changes, identity, bson.encode(change)))
        return plan

    def _put(self, key: bytes, encoded: bytes) -> None:
        self._db.execute(_SQL_PUT, (self._number, key, encoded))


def _encoded(plan: Plan, stored: StoredDocument | None) -> bytes:
    """The document that the plan makes. Its changes are written with it, so it is never pending."""
    subdocument = plan.subdocument
    if subdocument is None:
        assert plan.document is not None
        return plan.document
    if plan.changes:
        subdocument = settled(subdocument)
    if plan.document is not None:
        content: dict[str, Any] = decode(plan.document)
    else:
        assert stored is not None
        content = dict(stored.decoded)
    content[SUBDOCUMENT] = subdocument
    return bson.encode(content)
