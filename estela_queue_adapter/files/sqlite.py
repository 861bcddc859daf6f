"""SQLite files that several processes share: the embedded queue, the embedded store, the outbox."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from estela_queue_adapter.files import private as private_files
from estela_terminal.printable import printable_logger

_RETRY_PAUSE = 0.01  # seconds
_SMALLEST = 512  # bytes: a database has at least one page
_REMOVAL_GRACE = 0.1  # seconds that a folder which is being removed is given to go, before it is recreated
_COMPANIONS = ("", "-wal", "-shm")  # a commit is in the second of these, which the third leads to

_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_WHERE_PERMITTED = "work in a folder that you may write to, or name another file"

# What SQLite says, and what people know it by.
_REASONS = {
    "database or disk is full": "the disk is full",
    "file is not a database": "it is not an SQLite database",
    "database disk image is malformed": "it is damaged",
    "attempt to write a readonly database": f"it may only be read; {_WHERE_PERMITTED}",
    "database is locked": "another process keeps it locked",
    "disk I/O error": "disk I/O error (the disk may be full)",
}

_Identities: TypeAlias = tuple[private_files.Identity, ...]

logger = printable_logger(__name__)


class Replaced(OSError):
    """The file was removed, moved or replaced while something was written to it: that is not in the file."""


class SqliteFile:
    """One SQLite file, opened at the first use. Safe to share among threads, which take turns.

    The file is created if it is missing, readable by its owner alone. If it is removed, moved or replaced
    while it is open, that is logged, and the file that is at its path then is used, or a new one. What is
    committed was in the file at that path. It survives the end of the process, and a power cut if `durable`.

    Blocks up to `busy_timeout` seconds for other processes that use the file. Everything raises OSError and
    sqlite3.Error.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        busy_timeout: float,
        durable: bool = False,
        keep_former: bool = False,
    ) -> None:
        self.path = path
        self.generation = 0
        """How many files there have been at the path: another number is another file."""
        self.former: list[sqlite3.Connection] | None = [] if keep_former else None
        """If asked for: connections to the files that were at the path before, which can still be read."""
        self._names = [f"{path}{companion}" for companion in _COMPANIONS]
        self._schema = schema
        self._busy_timeout = busy_timeout
        self._durable = durable
        # Held by the thread whose turn it is. Guards what follows, and changes of `generation` and `former`.
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._identities: _Identities = ()

    @property
    def is_open(self) -> bool:
        """Whether it was opened."""
        return self._db is not None

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The open connection, for this thread alone meanwhile."""
        with self._lock:
            yield self._opened()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The same in a write transaction, which an error undoes. Raises Replaced besides."""
        with self._lock:
            db = self._db
            if db is None or private_files.identity(self._names[0]) != self._identities[0]:
                db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                _roll_back(db)
                raise
            if self._identities_now() != self._identities:
                self._save_commit()

    def close(self) -> None:
        """Close it; the next use opens it again."""
        with self._lock:
            db, self._db = self._db, None
            if db is not None:
                db.close()

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._open()
            self.generation += 1
        elif (now := self._identities_now()) != self._identities:
            if now[0] != self._identities[0]:
                self._switch_to_new_file()
            else:
                self._reopen()
        assert self._db is not None
        return self._db

    def _open(self) -> None:
        """Open what is at the path; once more if that changes meanwhile, so that we know what we have."""
        while True:
            at = private_files.create(self.path)
            if is_too_small(self.path):
                raise sqlite3.DatabaseError("file is not a database")
            db = self._connect()
            self._identities = self._identities_now()
            if self._identities[0] == at:
                break
            db.close()
        self._db = db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect if the file is new
            _use_write_ahead_log(db, self._busy_timeout)  # readers and a writer at once
            db.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            db.executescript(self._schema)
        except BaseException:
            db.close()
            raise
        return db

    def _switch_to_new_file(self) -> None:
        """Go over to the file that is at the path now, or to a new one."""
        if not self.path.exists():
            time.sleep(_REMOVAL_GRACE)
        before, self._db = self._db, None
        assert before is not None
        try:
            self._open()
        except BaseException:
            self._db = before  # so that the next use tries again
            raise
        self.generation += 1
        if self.former is None:
            before.close()
        else:
            self.former.append(before)
        self._log_replacement()

    def _save_commit(self) -> None:
        """See that what was just committed is in the file at the path. Raises Replaced if it is not.

        If only its companions are gone, the commit is in one that has no name any more: it is moved into the
        file.
        """
        if self._identities_now()[0] != self._identities[0] or not self._reopen():
            raise Replaced(f"{self.path} was removed or replaced while it was written to")

    def _reopen(self) -> bool:
        """Open the same file again, whose companions are gone; whether what was in them is in the file."""
        assert self._db is not None
        busy, in_log, moved = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self.close()
        self._open()
        self._log_replacement()
        whole = not busy and bool(in_log == moved)
        self.generation += not whole
        return whole

    def _log_replacement(self) -> None:
        logger.error(
            "The file %s was removed, moved or replaced while in use. "
            "Going on with the one that is there now, or with a new one.",
            self.path,
        )

    def _identities_now(self) -> _Identities:
        return tuple([private_files.identity(name) for name in self._names])


def is_too_small(path: Path) -> bool:
    """Whether there is something in the file, and too little for SQLite, which would write over it."""
    return 0 < path.stat().st_size < _SMALLEST


def reason(error: OSError | sqlite3.Error) -> str:
    """What is wrong with the file, for people."""
    if isinstance(error, OSError):
        told = error.strerror or str(error)
        return f"{told}; {_WHERE_PERMITTED}" if error.errno in _FORBIDDEN else told
    text = str(error)
    return _REASONS.get(text, text)


def _roll_back(db: sqlite3.Connection) -> None:
    """Undo the transaction, if SQLite has not done so itself; the error that led here is the one to tell."""
    if db.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")


def _use_write_ahead_log(db: sqlite3.Connection, busy_timeout: float) -> None:
    """Switch the file over; while another process does so too, SQLite answers at once instead of waiting."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE)
