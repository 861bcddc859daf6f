"""The life of a SQLite file: created, removed, moved and replaced while it is open, and full."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estela_queue_adapter.files.private import LockFile
from estela_queue_adapter.files.sqlite import Replaced, SqliteFile, reason

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY)"

READ = (
    "import sqlite3, sys; print([n for n, in sqlite3.connect(sys.argv[1]).execute('SELECT * FROM numbers')])"
)


def opened(path: Path) -> SqliteFile:
    return SqliteFile(path, SCHEMA, busy_timeout=5.0)


def write(file: SqliteFile, number: int) -> None:
    with file.transaction() as db:
        db.execute("INSERT INTO numbers VALUES (?)", (number,))


def as_others_see_it(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [number for (number,) in db.execute("SELECT * FROM numbers ORDER BY number")]


def remove_all(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink(missing_ok=True)  # SQLite may remove one meanwhile


def replace(path: Path) -> None:
    """Put the file of somebody else there, who has it open."""
    other = path.with_name("other.db")
    theirs = opened(other)
    write(theirs, 7)
    for companion in ("", "-wal", "-shm"):
        os.replace(f"{other}{companion}", f"{path}{companion}")


@pytest.mark.parametrize(
    ("happening", "kept"),
    [
        (lambda path: path.unlink(), []),
        (remove_all, []),
        (lambda path: shutil.rmtree(path.parent), []),
        (lambda path: path.rename(path.with_name("moved.db")), []),
        (lambda path: path.parent.rename(path.parent.with_name("moved")), []),
        (replace, [7]),
        (lambda path: Path(f"{path}-wal").unlink(), [1]),
        (lambda path: Path(f"{path}-shm").unlink(), [1]),
    ],
    ids=["file", "files", "folder", "file moved", "folder moved", "replaced", "its log", "its shared memory"],
)
def test_what_is_written_is_in_the_file_at_the_path_whatever_happened_to_the_former_one(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    happening: Callable[[Path], None],
    kept: list[int],
) -> None:
    path = tmp_path / "folder" / "file.db"
    file = opened(path)
    write(file, 1)
    before = file.generation

    happening(path)
    write(file, 2)

    told = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(sorted([*kept, 2]))
    assert (file.generation != before) == (1 not in kept)  # another number is another file
    assert [(record.levelno, str(path) in record.message) for record in caplog.records] == [
        (logging.ERROR, True)
    ]
    file.close()
    assert as_others_see_it(path) == sorted([*kept, 2])


def test_a_file_that_goes_while_it_is_written_to_is_an_error(tmp_path: Path) -> None:
    file = opened(tmp_path / "file.db")

    def write_and_remove() -> None:
        with file.transaction() as db:
            db.execute("INSERT INTO numbers VALUES (1)")
            (tmp_path / "file.db").unlink()

    with pytest.raises(Replaced, match=r"file\.db"):
        write_and_remove()

    write(file, 1)
    assert as_others_see_it(tmp_path / "file.db") == [1]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just("write"),
            st.just("write elsewhere"),
            st.sampled_from(["", "-wal", "-shm", "all", "folder"]).map(lambda what: f"remove {what}"),
        ),
        max_size=12,
    )
)
def test_nothing_that_was_written_after_the_last_removal_of_the_file_is_missing(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "below" / "file.db"
        file, expected = opened(path), set[int]()

        for number, step in enumerate(steps):
            if step.startswith("write"):
                # Another process that closes the file meets what we have open, and the other way round.
                write(file if step == "write" else opened(path), number)
                expected.add(number)
            elif step == "remove folder":
                shutil.rmtree(path.parent, ignore_errors=True)
                expected.clear()
            elif step in ("remove all", "remove "):
                remove_all(path) if step == "remove all" else path.unlink(missing_ok=True)
                expected.clear()
            elif not expected:  # what lies in the log alone is removed with it
                Path(f"{path}{step.removeprefix('remove ')}").unlink(missing_ok=True)
        write(file, len(steps))

        assert set(as_others_see_it(path)) >= {*expected, len(steps)}
        file.close()


def test_the_error_that_is_told_is_the_first_one(tmp_path: Path) -> None:
    """SQLite rolls back by itself when a disk is full; to do so again would fail, and hide why."""
    file = opened(tmp_path / "file.db")
    with file.connection() as db:
        db.execute("PRAGMA max_page_count = 3")  # what a full disk says, without one

    with pytest.raises(sqlite3.OperationalError) as told, file.transaction() as db:
        db.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(100_000)])

    assert reason(told.value) == "the disk is full"
    write(file, 1)


def test_files_and_folders_that_we_create_are_their_owners_alone(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        file = opened(tmp_path / "one" / "two" / "file.db")
        write(file, 1)
        lock = LockFile(tmp_path / "one" / "two" / "file.lock")
        assert lock.acquire()
    finally:
        os.umask(umask)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "one").rglob("*")}
    assert modes == {
        "two": 0o700, "file.db": 0o600, "file.db-wal": 0o600, "file.db-shm": 0o600, "file.lock": 0o600,
    }  # fmt: skip
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700


def test_a_link_that_leads_nowhere_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "target" / "file.db")

    write(opened(tmp_path / "link.db"), 1)

    assert stat.S_IMODE((tmp_path / "target" / "file.db").stat().st_mode) == 0o600


def test_threads_share_a_file_that_is_removed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    file, errors = opened(path), list[BaseException]()

    def work(first: int) -> None:
        for number in range(first, first + 50):
            try:
                write(file, number)
            except (OSError, sqlite3.Error):  # it went while it was opened: said, not lost
                pass
            except BaseException as error:  # noqa: BLE001  (told below)
                errors.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        remove_all(path)
    for thread in threads:
        thread.join()

    write(file, 5000)
    assert errors == []
    assert 5000 in as_others_see_it(path)


def test_a_lock_whose_file_is_removed_is_no_longer_held(tmp_path: Path) -> None:
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert (first.acquire(), second.acquire()) == (True, False)

    (tmp_path / "lock").unlink()

    assert (first.held, second.acquire(), first.acquire()) == (False, True, False)
    second.release()
    assert first.acquire()
