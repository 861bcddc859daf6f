"""The log in one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from estela_queue_adapter.errors import PermanentError, QueueUnreachable, TopicMissing
from estela_queue_adapter.files.sqlite import SqliteFile, reason
from estela_queue_adapter.files.usability import why_unusable
from estela_queue_adapter.messages import Headers, Message, Outgoing

PARTITION = 0  # a topic of the log is one sequence
_READ_BYTES = 8 * 1024 * 1024  # after which a read has enough: bounds the memory
_BUSY_TIMEOUT = 30.0  # seconds a writer waits for the other writers of the file


class EmbeddedLog:
    """One connection to the file; safe to share among threads, which take turns."""

    # A message's row id is its topic's id and its offset in one number, so that a topic lies together
    # in the table, in order, and needs no index.
    _TOPIC_SHIFT = 40
    _SQL_SCHEMA = """
        CREATE TABLE IF NOT EXISTS topics (id INTEGER PRIMARY KEY, name TEXT UNIQUE, next_offset INTEGER);
        CREATE TABLE IF NOT EXISTS messages (
            id INTEGER PRIMARY KEY, time REAL, key BLOB, data BLOB, headers TEXT);
        CREATE TABLE IF NOT EXISTS positions (
            group_id TEXT, topic TEXT, offset INTEGER, PRIMARY KEY (group_id, topic)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS epochs (name TEXT PRIMARY KEY, epoch INTEGER) WITHOUT ROWID;
    """
    _SQL_ADD_TOPIC = "INSERT OR IGNORE INTO topics (name, next_offset) VALUES (?, 0)"
    SQL_TOPIC = "SELECT id, next_offset FROM topics WHERE name = ?"
    _SQL_ADVANCE = "UPDATE topics SET next_offset = next_offset + 1 WHERE id = ?"
    _SQL_APPEND = "INSERT INTO messages (id, time, key, data, headers) VALUES (?, ?, ?, ?, ?)"
    _SQL_READ = (
        "SELECT id, time, key, data, headers FROM messages WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
    )
    _SQL_FIRST = "SELECT id FROM messages WHERE id >= ? AND id < ? ORDER BY id LIMIT 1"
    _SQL_POSITION = "SELECT offset FROM positions WHERE group_id = ? AND topic = ?"
    _SQL_EPOCH = "SELECT epoch FROM epochs WHERE name = ?"
    _SQL_NEXT_EPOCH = "INSERT INTO epochs VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1"
    _SQL_ENTER = "INSERT OR IGNORE INTO positions (group_id, topic, offset) VALUES (?, ?, ?)"
    _SQL_COMMIT = "INSERT OR REPLACE INTO positions (group_id, topic, offset) VALUES (?, ?, ?)"

    @classmethod
    def why_unusable(cls, path: Path) -> str:
        """Why the file can never be a log, for people; empty if it can."""
        return why_unusable(path, cls._SQL_SCHEMA)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SqliteFile(path, self._SQL_SCHEMA, busy_timeout=_BUSY_TIMEOUT)
        with self.connection():
            pass  # what cannot be used is an error now

    @property
    def generation(self) -> int:
        """Another number after the file was removed or replaced: offsets start again at 0 then."""
        with self.connection():
            return self._file.generation

    def append(self, messages: Sequence[Outgoing], *, epoch: tuple[str, int] | None = None) -> None:
        """Add messages, each at the end of its topic; all of them or none.

        `epoch` is a name and its epoch: raises PermanentError if the name has a later one.
        """
        now = time.time()
        with self.transaction() as db:
            if epoch and db.execute(self._SQL_EPOCH, epoch[:1]).fetchone() != epoch[1:]:
                raise PermanentError(
                    f"transactions as {epoch[0]} were begun by another process, or in another file"
                )
            for topic, data, key, headers, _ in messages:
                packed = _pack(headers) if headers else None
                topic_id, offset = self._topic(db, topic)
                db.execute(self._SQL_ADVANCE, (topic_id,))
                db.execute(self._SQL_APPEND, (self.row_id(topic_id, offset), now, key, data, packed))

    def open_epoch(self, name: str) -> int:
        """Begin a new epoch of `name`, which ends those before; returns its number."""
        with self.transaction() as db:
            db.execute(self._SQL_NEXT_EPOCH, (name,))
            return int(db.execute(self._SQL_EPOCH, (name,)).fetchone()[0])

    def read(self, topic: str, offset: int, limit: int) -> list[Message]:
        """Up to `limit` messages of `topic` from `offset` on; fewer if they are large."""
        messages: list[Message] = []
        size = 0
        with self.connection() as db:
            row = db.execute(self.SQL_TOPIC, (topic,)).fetchone()
            if row is None or offset >= row[1]:
                return messages
            first, end = self.row_id(row[0], 0), self.row_id(row[0] + 1, 0)
            for id_, stamp, key, data, headers in db.execute(self._SQL_READ, (first + offset, end, limit)):
                messages.append(
                    Message(
                        topic, PARTITION, id_ - first, stamp, key, data, _unpack(headers) if headers else ()
                    )
                )
                size += len(data or b"") + len(key or b"") + len(headers or "")
                if size >= _READ_BYTES:
                    break
        return messages

    def end(self, topic: str) -> int:
        """The offset after the last message; raises TopicMissing."""
        with self.connection() as db:
            row = db.execute(self.SQL_TOPIC, (topic,)).fetchone()
        if row is None:
            raise TopicMissing(f"there is no topic {topic} in {self._path}: nothing was ever sent to it")
        return int(row[1])

    def beginning(self, topic: str) -> int:
        """The offset of the first message that is still there; the end if none is, 0 without a topic."""
        with self.connection() as db:
            return self._beginning(db, topic)

    def position(self, group_id: str, topic: str) -> int:
        """The offset that the group reads next."""
        with self.connection() as db:
            return self._position(db, group_id, topic)

    def enter(self, group_id: str, topic: str) -> int:
        """The same. The group is known from now on: what it has not read is kept for it."""
        with self.transaction() as db:
            offset = self._position(db, group_id, topic)
            db.execute(self._SQL_ENTER, (group_id, topic, offset))
        return offset

    def commit(self, group_id: str, topic: str, offset: int) -> None:
        """Set the offset that the group reads next, durably."""
        with self.transaction() as db:
            db.execute(self._SQL_COMMIT, (group_id, topic, offset))

    def sync(self) -> None:
        """Have everything so far survive a power cut too, not only the end of the process."""
        with self.connection() as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the file."""
        with self._errors():
            self._file.close()

    def _topic(self, db: sqlite3.Connection, topic: str) -> tuple[int, int]:
        """The topic's id and next offset; it is created if it is missing."""
        row = db.execute(self.SQL_TOPIC, (topic,)).fetchone()
        if row is None:
            db.execute(self._SQL_ADD_TOPIC, (topic,))
            row = db.execute(self.SQL_TOPIC, (topic,)).fetchone()
        return row[0], row[1]

    def _position(self, db: sqlite3.Connection, group_id: str, topic: str) -> int:
        row = db.execute(self._SQL_POSITION, (group_id, topic)).fetchone()
        return self._beginning(db, topic) if row is None else int(row[0])

    def _beginning(self, db: sqlite3.Connection, topic: str) -> int:
        row = db.execute(self.SQL_TOPIC, (topic,)).fetchone()
        if row is None:
            return 0
        first = self.row_id(row[0], 0)
        found = db.execute(self._SQL_FIRST, (first, self.row_id(row[0] + 1, 0))).fetchone()
        return int(row[1] if found is None else found[0] - first)

    @classmethod
    def row_id(cls, topic_id: int, offset: int) -> int:
        """The id of the row of one message."""
        return (topic_id << cls._TOPIC_SHIFT) + offset

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The file, for this thread alone meanwhile. Raises QueueUnreachable."""
        with self._errors(), self._file.connection() as db:
            yield db

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The same in a write transaction, which an error undoes."""
        with self._errors(), self._file.transaction() as db:
            yield db

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise QueueUnreachable(
                f"the queue's file {self._path} (QUEUE_PLATFORM_PATH) cannot be used: {reason(error)}"
            ) from error


def _pack(headers: Headers) -> str:
    """As JSON in ASCII, which holds names that are not UTF-8 too."""
    return json.dumps([(name, None if value is None else value.hex()) for name, value in headers])


def _unpack(headers: str) -> Headers:
    return [(name, None if value is None else bytes.fromhex(value)) for name, value in json.loads(headers)]
