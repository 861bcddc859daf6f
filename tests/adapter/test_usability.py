"""What can never be an SQLite file of ours is known before it is used, and left as it is."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest

from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.sqlite import SqliteFile
from estela_queue_adapter.files.usability import why_unusable

SCHEMA = "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, data BLOB);"


def make(path: Path, schema: str) -> None:
    file = SqliteFile(path, schema, busy_timeout=1.0)
    with file.connection():
        pass
    file.close()


def test_a_file_that_is_not_there_can_be_created_and_is_not(tmp_path: Path) -> None:
    assert why_unusable(tmp_path / "new" / "folder" / "file.db", SCHEMA) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_made_is_usable_and_so_is_an_empty_one(tmp_path: Path) -> None:
    make(tmp_path / "ours#1?.db", SCHEMA)
    (tmp_path / "empty").touch()

    assert why_unusable(tmp_path / "ours#1?.db", SCHEMA) == ""
    assert why_unusable(tmp_path / "empty", SCHEMA) == ""
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("content", [b"x", b"BOT_NAME = 'x'\n" * 100, b"SQLite format 3\0" + b"x" * 1000])
def test_what_is_no_sqlite_file_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.py"
    path.write_bytes(content)

    assert why_unusable(path, SCHEMA) == "it is not an SQLite database"
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_told(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/null") if kind == "device" else tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)

    assert why_unusable(path, SCHEMA) == "it is not a regular file"


def test_an_sqlite_file_of_something_else_is_told(tmp_path: Path) -> None:
    """Given a file with a table that is called as ours, such as the outbox in place of the queue."""
    make(tmp_path / "other.db", "CREATE TABLE IF NOT EXISTS messages (session TEXT, number INTEGER);")

    assert "its table messages has other columns" in why_unusable(tmp_path / "other.db", SCHEMA)


@pytest.mark.parametrize("path", ["/proc/q.db", "/proc/x/y", "/dev/null/x"])
def test_a_folder_in_which_nothing_can_be_created_is_told(path: str) -> None:
    assert why_unusable(Path(path), SCHEMA) != ""


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_or_folder_that_is_forbidden_is_told(tmp_path: Path) -> None:
    make(tmp_path / "ours.db", SCHEMA)
    (tmp_path / "ours.db").chmod(0o400)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)

    assert why_unusable(tmp_path / "ours.db", SCHEMA) == "it may not be read and written"
    assert "Permission denied" in why_unusable(folder / "x.db", SCHEMA)


def test_what_passes_is_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a file that another keeps locked, and then a full disk."""
    path = tmp_path / "ours.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(SCHEMA)
    db.execute("BEGIN EXCLUSIVE")

    assert why_unusable(path, SCHEMA) == ""
    db.close()

    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert why_unusable(tmp_path / "new.db", SCHEMA) == ""


def test_the_locks_of_a_file_that_is_in_use_are_kept(tmp_path: Path) -> None:
    """Given a transaction of this process: whoever opened and closed the file would let others in."""
    path = tmp_path / "ours.db"
    file = SqliteFile(path, SCHEMA, busy_timeout=1.0)
    with file.transaction():
        assert why_unusable(path, SCHEMA) == ""
        other = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0.1).execute('BEGIN IMMEDIATE')"
        assert os.system(f'python3 -c "{other}" 2>/dev/null') != 0  # noqa: S605
    file.close()


def test_a_queue_says_so_as_a_wrong_setting_and_kafka_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("notes")

    with pytest.raises(ConfigurationError, match=r"QUEUE_PLATFORM_PATH=.*notes cannot be the queue's file"):
        open_platform("embedded", path=str(tmp_path / "notes")).check()
    open_platform("embedded", path=str(tmp_path / "new.db")).check()
    open_platform("kafka", listeners="127.0.0.1:1").check()
    assert not (tmp_path / "new.db").exists()
