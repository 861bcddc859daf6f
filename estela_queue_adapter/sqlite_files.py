"""SQLite files that several processes share: the embedded queue, the embedded store, the outbox."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

_LOOK_AGAIN = 0.01  # seconds


def connect(path: Path, schema: str, *, busy_timeout: float, durable: bool = False) -> sqlite3.Connection:
    """Open the file, or make it and its folder; transactions are begun by hand. Threads may share it.

    Blocks up to `busy_timeout` seconds for other processes that open or write it, then and later. What is
    committed survives the end of the process, and, where `durable`, a power cut. Raises OSError and
    sqlite3.Error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect where the file is new
        _use_write_ahead_log(db, busy_timeout)  # readers and a writer at once
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.executescript(schema)
    except BaseException:
        db.close()
        raise
    return db


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
            time.sleep(_LOOK_AGAIN)
