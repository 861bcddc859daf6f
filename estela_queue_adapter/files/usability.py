"""Whether a file can ever be the SQLite file that somebody names, found out without creating it."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from pathlib import Path

from estela_queue_adapter.files.sqlite import is_too_small, reason

_BUSY_TIMEOUT = 0.2  # seconds: who waits here would hold up the start of a crawl
_PASSES = frozenset(
    getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EINTR")
) - {None}
_DAMAGE = ("file is not a database", "database disk image is malformed")
_SQL_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
_SQL_COLUMNS = "SELECT name FROM pragma_table_info(?) ORDER BY cid"


def why_unusable(path: Path, schema: str) -> str:
    """Why no `SqliteFile` with this schema can ever work at `path`, for people; empty if one can.

    A full disk or a file that is locked passes, and is no reason. The file is neither created nor changed. It
    is opened by SQLite alone: whoever else opens and closes it would end the locks of this process on it.
    """
    try:
        if path.exists():
            return _why_not(path, schema)
        folder = next(parent for parent in path.parents if parent.exists())
        _try_to_create_in(folder)
    except OSError as error:
        return "" if error.errno in _PASSES else f"{error.filename or path}: {reason(error)}"
    return ""


def _why_not(path: Path, schema: str) -> str:
    if not path.is_file():
        return "it is not a regular file"
    if not os.access(path, os.R_OK | os.W_OK):
        return "it may not be read and written"
    if is_too_small(path):
        return "it is not an SQLite database"
    _try_to_create_in(path.resolve().parent)  # SQLite needs files beside it
    try:
        return _another_table(path, schema)
    except sqlite3.Error as error:
        return reason(error) if str(error) in _DAMAGE else ""


def _try_to_create_in(folder: Path) -> None:
    """Raise OSError if no file can be created there; permissions alone do not tell, of /proc for one."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = str(folder)
        raise


def _another_table(path: Path, schema: str) -> str:
    """Of a table in the file that is called as one of ours, but has other columns; empty if there is none."""
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as ours,
        contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_TIMEOUT)
        ) as file,
    ):
        ours.executescript(schema)
        for (table,) in ours.execute(_SQL_TABLES).fetchall():
            found = file.execute(_SQL_COLUMNS, (table,)).fetchall()
            if found and found != ours.execute(_SQL_COLUMNS, (table,)).fetchall():
                return f"it is an SQLite database of something else: its table {table} has other columns"
    return ""
