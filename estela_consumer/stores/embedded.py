"""The embedded store: one SQLite file of BSON documents, under the same rules as MongoDB's."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document, decoded, is_stored_as
from estela_consumer.decoding.metadata import is_of
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable, UsageError
from estela_consumer.keyed.kinds import Kind, mismatch
from estela_consumer.keyed.stored import version_of
from estela_consumer.stores.embedded_keyed import KeyedRows, kind_in
from estela_consumer.stores.interface import Outcome, Store, StoreAccess, Summary, Verdict
from estela_consumer.stores.opening import DEFAULT_URL, StoreSettings
from estela_queue_adapter.files.location import located
from estela_queue_adapter.files.sqlite import SqliteFile, reason
from estela_queue_adapter.files.usability import why_unusable
from estela_wire.dataset import Dataset
from estela_wire.keys import CHANGES_SUFFIX, OnExisting

_BUSY_TIMEOUT = 30.0  # seconds a writer waits for the other writers of the file
_PAGE = 500  # documents read at a time
# Inserted by one statement: Python's sqlite3 releases the interpreter's lock for each, and must wait for it
# again. With three values a row they stay below the 999 that old versions of SQLite take.
_ROWS = 300

_Row: TypeAlias = tuple[int, bytes | str, bytes]


class EmbeddedStore(Store):
    """A store without a server, for one machine: development, small crawls, tests."""

    _SQL_SCHEMA = """
        CREATE TABLE IF NOT EXISTS datasets (
            number INTEGER PRIMARY KEY, database TEXT, collection TEXT, UNIQUE (database, collection));
        CREATE TABLE IF NOT EXISTS documents (
            dataset INTEGER, id BLOB, bson BLOB, PRIMARY KEY (dataset, id)) WITHOUT ROWID;
    """
    _SQL_ADD_DATASET = "INSERT OR IGNORE INTO datasets (database, collection) VALUES (?, ?)"
    _SQL_DATASET = "SELECT number FROM datasets WHERE database = ? AND collection = ?"
    _SQL_INSERT = "INSERT INTO documents (dataset, id, bson) VALUES (?, ?, ?)"
    _SQL_INSERT_ROWS = _SQL_INSERT + ", (?, ?, ?)" * (_ROWS - 1)
    _SQL_INSERT_NEW = "INSERT OR IGNORE INTO documents (dataset, id, bson) VALUES (?, ?, ?)"
    _SQL_ONE = "SELECT bson FROM documents WHERE dataset = ? AND id = ?"
    _SQL_PAGE = "SELECT id, bson FROM documents WHERE dataset = ? AND id > ? ORDER BY id LIMIT ?"
    _SQL_FIRST_PAGE = "SELECT id, bson FROM documents WHERE dataset = ? ORDER BY id LIMIT ?"
    _SQL_IDS = "SELECT id FROM documents WHERE dataset = ? AND id >= ? AND id <= ? ORDER BY id LIMIT ?"
    _SQL_SUMMARY = """
        SELECT database, collection, (SELECT COUNT(*) FROM documents WHERE dataset = number)
        FROM datasets ORDER BY database, collection
    """

    def __init__(self, settings: StoreSettings) -> None:
        path = (settings.url or DEFAULT_URL).partition("://")[2]
        if not path.startswith("/") or path == "/":
            raise UsageError("the store's URL must be sqlite:///relative/path or sqlite:////absolute/path")
        self._path = located(path[1:])
        if self._path.is_dir():
            raise UsageError(f"the store's URL names the directory {self._path}; it must name a file")
        self._file = SqliteFile(self._path, self._SQL_SCHEMA, busy_timeout=_BUSY_TIMEOUT, durable=True)

    def describe(self) -> str:
        return f"the file {self._path}"

    def check(self) -> None:
        with self._connection() as db:
            db.execute("SELECT 1 FROM datasets LIMIT 1").fetchall()

    def examine(self) -> StoreAccess:
        if self._path.exists():
            return super().examine()
        if why := why_unusable(self._path, self._SQL_SCHEMA):
            raise StoreUnreachable(f"{self._path} cannot be the store's file: {why}")
        return StoreAccess(exists=False)

    def write(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        try:
            with self._transaction() as db:
                rows = self._rows(db, dataset, documents)
                kind = kind_in(db, rows[0][0])
                if kind is not None and kind.key is not None:
                    return [mismatch(dataset, kind, Kind(None))] * len(rows)
                whole = len(rows) // _ROWS * _ROWS
                for at in range(0, whole, _ROWS):
                    db.execute(self._SQL_INSERT_ROWS, list(chain.from_iterable(rows[at : at + _ROWS])))
                db.executemany(self._SQL_INSERT, rows[whole:])
            return [Outcome.STORED] * len(rows)
        except sqlite3.IntegrityError:  # some are stored already: check each
            with self._transaction() as db:
                rows = self._rows(db, dataset, documents)
                return [self._write_one(db, *pair) for pair in zip(rows, documents, strict=True)]

    def write_keyed(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        changes = Dataset(dataset.database, dataset.collection + CHANGES_SUFFIX)
        tracked = any(version_of(document).on_existing is OnExisting.TRACK for document in documents)
        with self._transaction() as db:
            number = self._number(db, dataset)
            rows = KeyedRows(db, dataset, number, self._number(db, changes) if tracked else number)
            return rows.write(documents)

    def find(self, dataset: Dataset, identities: Collection[ObjectId]) -> Iterator[bytes]:
        wanted = [identity.binary for identity in identities]
        for at in range(0, len(wanted), _PAGE):
            with self._connection() as db:
                row = db.execute(self._SQL_DATASET, dataset).fetchone()
                found = [
                    db.execute(self._SQL_ONE, (row[0], key)).fetchone()
                    for key in (wanted[at : at + _PAGE] if row else ())
                ]
            yield from (encoded for (encoded,) in filter(None, found))

    def datasets(self) -> Iterator[Summary]:
        with self._connection() as db:
            rows = db.execute(self._SQL_SUMMARY).fetchall()
        for database, collection, documents in rows:
            yield Summary(Dataset(database, collection), documents)

    def read(
        self, dataset: Dataset, limit: int | None = None, origin: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        if not origin:
            return self._read(dataset, limit)
        matching = (each for each in self._read(dataset, None) if is_of(each, origin))
        return islice(matching, limit)

    def _read(self, dataset: Dataset, limit: int | None) -> Iterator[dict[str, Any]]:
        with self._connection() as db:
            row = db.execute(self._SQL_DATASET, dataset).fetchone()
        remaining, last = limit, None
        while row is not None and remaining != 0:
            size = _PAGE if remaining is None else min(_PAGE, remaining)
            page = self._page(row[0], last, size)
            for _, encoded in page:
                yield decoded(encoded)
            if len(page) < size:
                return
            last = page[-1][0]
            remaining = None if remaining is None else remaining - size

    def ids(self, dataset: Dataset, first: ObjectId | str, last: ObjectId | str) -> Iterator[ObjectId | str]:
        at, end = _key(first), _key(last)
        found = self._ids(dataset, at, end)
        while found:
            yield from (ObjectId(key) if isinstance(key, bytes) else key for key in found)
            at = found[-1]
            found = self._ids(dataset, at, end)[1:]  # `at` is one of them again

    def close(self) -> None:
        with self._errors():
            self._file.close()

    def _rows(self, db: sqlite3.Connection, dataset: Dataset, documents: Sequence[Document]) -> list[_Row]:
        number = self._number(db, dataset)
        return [(number, document.key, document.bson) for document in documents]

    def _number(self, db: sqlite3.Connection, dataset: Dataset) -> int:
        row = db.execute(self._SQL_DATASET, dataset).fetchone()
        if row is None:
            db.execute(self._SQL_ADD_DATASET, dataset)
            row = db.execute(self._SQL_DATASET, dataset).fetchone()
        return int(row[0])

    def _write_one(self, db: sqlite3.Connection, row: _Row, document: Document) -> Verdict:
        if db.execute(self._SQL_INSERT_NEW, row).rowcount:
            return Outcome.STORED
        stored = db.execute(self._SQL_ONE, row[:2]).fetchone()[0]
        if is_stored_as(stored, document):
            return Outcome.PRESENT
        return BadMessage(Reason.DUPLICATE_ID, "another document with another content has this _id")

    def _page(self, number: int, last: bytes | str | None, size: int) -> list[tuple[bytes | str, bytes]]:
        with self._connection() as db:
            if last is None:
                return db.execute(self._SQL_FIRST_PAGE, (number, size)).fetchall()
            return db.execute(self._SQL_PAGE, (number, last, size)).fetchall()

    def _ids(self, dataset: Dataset, first: bytes | str, last: bytes | str) -> list[bytes | str]:
        with self._connection() as db:
            row = db.execute(self._SQL_DATASET, dataset).fetchone()
            rows = db.execute(self._SQL_IDS, (*row, first, last, _PAGE)).fetchall() if row else []
        return [id_ for (id_,) in rows]

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._file.connection() as db:
            yield db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._errors(), self._file.transaction() as db:
            yield db

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (OSError, sqlite3.Error) as error:
            raise StoreUnreachable(
                f"the store's file {self._path} (DB_CONNECTION) cannot be used: {reason(error)}"
            ) from error


def _key(identity: Any) -> bytes | str:
    return identity if isinstance(identity, str) else bytes(identity.binary)
