"""The file in which messages wait for a queue that is unavailable or slow."""

from __future__ import annotations

import contextlib
import glob
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.private import LockFile
from estela_queue_adapter.files.sqlite import SqliteFile, reason
from estela_queue_adapter.files.usability import why_unusable
from estela_terminal.printable import printable_logger

logger = printable_logger(__name__)

_BUSY_TIMEOUT = 10.0  # seconds a writer waits for the other crawls that share the file


class PendingMessage(NamedTuple):
    """One message on its way: the session that took it, its number there, and where it goes."""

    session: str
    number: int
    stream: str
    topic: str
    data: bytes

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from every other message."""
        return self.session, self.number


class RefusedMessage(NamedTuple):
    """A message that the queue refused for good, and why; an empty reason if it only waits."""

    message: PendingMessage
    reason: str


class Summary(NamedTuple):
    """What waits for one topic, or was refused there (`reason`)."""

    topic: str
    reason: str
    messages: int
    bytes: int


class OutboxError(Exception):
    """The file cannot be used now: the disk is full, or there is no permission."""


class Outbox:
    """Messages in one SQLite file, which crawls may share; safe to share among threads.

    Each process that adds to the file is a session. It sends its own messages and, after `adopt`, those of
    sessions that have ended; a session's lock file, which the system frees when its process dies, says which
    those are. Messages are sent by session, oldest first, and by number.
    """

    _SQL_SCHEMA = """
        CREATE TABLE IF NOT EXISTS messages (
            session TEXT, number INTEGER, stream TEXT, topic TEXT, data BLOB, reason TEXT,
            PRIMARY KEY (session, number)) WITHOUT ROWID;
    """
    _SQL_ADD = "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, NULL)"
    _SQL_REJECT = "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)"
    _SQL_DONE = "DELETE FROM messages WHERE session = ? AND number = ?"
    _SQL_SESSIONS = "SELECT DISTINCT session FROM messages"
    _SQL_MINE = "session IN (SELECT value FROM json_each(?))"
    _SQL_READ = f"""
        SELECT session, number, stream, topic, data FROM messages
        WHERE reason IS NULL AND (session, number) > (?, ?) AND {_SQL_MINE} ORDER BY session, number
    """
    _SQL_ALL = """
        SELECT session, number, stream, topic, data, COALESCE(reason, '') FROM messages
        ORDER BY session, number
    """
    _SQL_REMAINING = f"SELECT session, number, stream, topic, data, reason FROM messages WHERE {_SQL_MINE}"
    _SQL_INHERIT = "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?)"
    _SQL_ACCEPT_AGAIN = f"UPDATE messages SET reason = NULL WHERE reason IS NOT NULL AND {_SQL_MINE}"
    _SQL_SIZE = "SELECT COALESCE(SUM(LENGTH(data)), 0) FROM messages"
    _SQL_PENDING = f"SELECT COUNT(*) FROM messages WHERE reason IS NULL AND {_SQL_MINE}"
    _SQL_SUMMARY = """
        SELECT topic, COALESCE(reason, ''), COUNT(*), SUM(LENGTH(data)) FROM messages
        GROUP BY topic, reason ORDER BY topic, reason
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.session = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"
        self._max_bytes = max_bytes
        self._lock = threading.RLock()  # guards what follows; `free_bytes` looks at `_size` without it
        self._locks: dict[str, LockFile] = {}
        """The sessions that are ours, and what tells others so."""
        self._file = SqliteFile(path, self._SQL_SCHEMA, busy_timeout=_BUSY_TIMEOUT, keep_former=True)
        self._generation = 0
        self._size = 0

    @classmethod
    def check(cls, path: Path) -> None:
        """Raise ConfigurationError if the file can never be an outbox. Cheap, and creates nothing."""
        if why := why_unusable(path, cls._SQL_SCHEMA):
            raise ConfigurationError(f"ESTELA_OUTBOX_PATH={path} cannot be the outbox's file: {why}")

    def exists(self) -> bool:
        """Whether there is a file, perhaps of an earlier crawl."""
        return self.path.exists()

    @property
    def free_bytes(self) -> int:
        """Bytes that may be added; a file that is not open yet counts as empty."""
        return max(0, self._max_bytes - self._size)

    def adopt(self) -> None:
        """Take over the messages of sessions that have ended. Raises OutboxError."""
        with self._connection() as db:
            sessions = {session for (session,) in db.execute(self._SQL_SESSIONS).fetchall()}
            for session in sessions | self._lock_files():  # the latter's are removed with our own
                self._claim(session)

    def pending(self) -> int:
        """How many messages this session has to send. Raises OutboxError."""
        with self._connection() as db:
            return int(db.execute(self._SQL_PENDING, (self._mine,)).fetchone()[0])

    def add(self, messages: Sequence[PendingMessage]) -> None:
        """Keep them, all or none. Not bounded: see `free_bytes`. Raises OutboxError."""
        with self._transaction() as db:
            db.executemany(self._SQL_ADD, messages)
        with self._lock:
            self._size += sum(len(message.data) for message in messages)

    def read(self, after: PendingMessage | None, count: int, size: int) -> list[PendingMessage]:
        """What is to be sent next, behind `after`: up to `count` messages, or `size` bytes.

        One larger message comes alone. Raises OutboxError.
        """
        place = ("", -1) if after is None else after.key
        messages: list[PendingMessage] = []
        with self._connection() as db:
            for row in db.execute(self._SQL_READ, (*place, self._mine)):
                message = PendingMessage(*row)
                size -= len(message.data)
                if messages and size < 0:
                    break
                messages.append(message)
                if len(messages) == count:
                    break
        return messages

    def done(self, messages: Iterable[PendingMessage]) -> None:
        """Forget what the queue has acknowledged. Raises OutboxError."""
        gone = list(messages)
        with self._transaction() as db:
            db.executemany(self._SQL_DONE, [message.key for message in gone])
        with self._lock:
            self._size = max(0, self._size - sum(len(message.data) for message in gone))

    def reject(self, rejected: Sequence[RefusedMessage]) -> None:
        """Keep what the queue refused, with the reason, and do not send it again. Raises OutboxError."""
        with self._transaction() as db:
            db.executemany(self._SQL_REJECT, [(*message, reason) for message, reason in rejected])

    def accept_again(self) -> None:
        """Have what was refused sent once more. Raises OutboxError."""
        with self._transaction() as db:
            db.execute(self._SQL_ACCEPT_AGAIN, (self._mine,))

    def summaries(self) -> list[Summary]:
        """What is in the file, by topic and reason. Raises OutboxError."""
        with self._connection() as db:
            return [Summary(*row) for row in db.execute(self._SQL_SUMMARY).fetchall()]

    def everything(self) -> Iterator[RefusedMessage]:
        """Every message of every session. Raises OutboxError."""
        with self._connection() as db:
            for row in db.execute(self._SQL_ALL):
                yield RefusedMessage(PendingMessage(*row[:5]), row[5])

    def close(self) -> None:
        """Close the file; what remains in it is for the next crawl. What was added is on the disk already."""
        with self._lock:
            if self._file.is_open:
                with contextlib.suppress(OSError, sqlite3.Error), self._file.connection() as db:
                    db.execute("PRAGMA incremental_vacuum").fetchall()  # what was emptied is given back
                with contextlib.suppress(sqlite3.Error):
                    self._file.close()
            for lock in self._locks.values():
                if lock.held:
                    with contextlib.suppress(OSError):  # a lock file left behind does no harm
                        lock.path.unlink()
                lock.release()
            self._locks = {}

    @property
    def _mine(self) -> str:
        return json.dumps(list(self._locks))

    def _lock_files(self) -> set[str]:
        """The sessions that have one: also those that were killed and have nothing more to send."""
        prefix = f"{self.path.name}-"
        names = {file.name for file in self.path.parent.glob(f"{glob.escape(prefix)}*.lock")}
        return {name.removeprefix(prefix).removesuffix(".lock") for name in names}

    def _claim(self, session: str) -> None:
        lock = self._locks.get(session)
        if lock is None:
            lock = LockFile(Path(f"{self.path}-{session}.lock"))
            if lock.acquire() or session == self.session:
                self._locks[session] = lock  # else its process is alive and sends them itself
        elif not lock.held:  # somebody removed its file
            lock.acquire()

    def _inherit(self) -> None:
        """Bring what this crawl has to send over from a file that was removed while it was open."""
        while self._file.former:
            with self._file.transaction() as db:
                db.executemany(self._SQL_INHERIT, self._remaining(self._file.former[0]))
            self._file.former.pop(0).close()

    def _remaining(self, before: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
        try:
            yield from before.execute(self._SQL_REMAINING, (self._mine,))
        except sqlite3.Error as error:
            logger.error(
                "Messages lost: the former file of the outbox %s cannot be read: %s.", self.path, error
            )

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors(), self._file.connection() as db:
            if self._generation != self._file.generation:
                self._inherit()
                self._size = int(db.execute(self._SQL_SIZE).fetchone()[0])
                self._generation = self._file.generation
            yield db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection():
            self._claim(self.session)
            with self._file.transaction() as db:
                yield db

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise OutboxError(
                f"the outbox {self.path} (ESTELA_OUTBOX_PATH) cannot be used: {reason(error)}"
            ) from error
