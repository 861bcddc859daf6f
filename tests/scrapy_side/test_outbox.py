"""The outbox's file, and the spool that moves messages between it and memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from estela_scrapy.outbox import Letter, Outbox, OutboxError, Rejected
from estela_scrapy.spool import Mode, Spool
from tests.consumer.commands import run

MB = 1024 * 1024

# Adds three messages and dies with its session, as kill -9 would have it.
KILLED = """
import os, sys
from pathlib import Path
from estela_scrapy.outbox import Letter, Outbox
box = Outbox(Path(sys.argv[1]), 1024)
box.add([Letter(box.session, n, "items", "t", b"%d" % n) for n in range(3)])
os._exit(9)
"""


def letters(box: Outbox, *numbers: int, size: int = 1) -> list[Letter]:
    return [Letter(box.session, n, "items", "t", b"x" * size) for n in numbers]


def opened(box: Outbox, buffer_bytes: int, mode: Mode) -> Spool:
    """A spool that has looked what an earlier crawl left, as the publisher does first."""
    spool = Spool(box, buffer_bytes, mode)
    spool.open_file()
    return spool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "outbox.db"


def test_what_is_added_is_read_in_order_until_it_is_done(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(letters(box, 3, 1))
    box.add(letters(box, 2))

    one, two, three = box.read(None, 10, MB)
    box.done([one])

    assert [letter.number for letter in (one, two, three)] == [1, 2, 3]
    assert box.read(two, 10, MB) == [three]
    assert box.pending() == 2
    assert box.room == MB - 2


def test_a_read_is_bounded_by_count_and_bytes_and_a_large_message_comes_alone(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(letters(box, *range(5), size=100))

    assert len(box.read(None, 2, MB)) == 2
    assert len(box.read(None, 9, 350)) == 3
    assert len(box.read(None, 9, 1)) == 1


def test_what_a_killed_crawl_left_is_the_next_ones_to_send(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    box = Outbox(path, MB)

    before = box.pending()
    box.adopt()

    assert (before, box.pending()) == (0, 3)
    assert [letter.data for letter in box.read(None, 9, MB)] == [b"0", b"1", b"2"]


def test_what_a_crawl_that_still_runs_has_there_is_its_own(path: Path) -> None:
    running, other = Outbox(path, MB), Outbox(path, MB)
    running.add(letters(running, 1))
    other.add(letters(other, 1))

    other.adopt()

    assert [letter.session for letter in other.read(None, 9, MB)] == [other.session]
    running.close()
    other.adopt()
    assert other.pending() == 2


def test_only_one_of_two_crawls_takes_over_what_is_left(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    one, two = Outbox(path, MB), Outbox(path, MB)

    one.adopt()
    two.adopt()

    assert (one.pending(), two.pending()) == (3, 0)


def test_the_messages_of_another_crawl_do_not_hide_ones_own(path: Path) -> None:
    other, box = Outbox(path, MB), Outbox(path, MB)
    other.add(letters(other, *range(50)))
    box.add(letters(box, 1))

    assert [letter.session for letter in box.read(None, 5, MB)] == [box.session]


def test_what_was_refused_stays_with_its_reason_until_it_is_to_be_sent_again(path: Path) -> None:
    box = Outbox(path, MB)
    [letter] = letters(box, 1)
    box.add([letter])
    box.reject([Rejected(letter, "too large")])

    assert box.pending() == 0
    assert list(box.everything()) == [Rejected(letter, "too large")]
    assert box.summaries() == [("t", "too large", 1, 1)]
    box.accept_again()
    assert box.read(None, 9, MB) == [letter]


def test_closing_leaves_the_messages_and_no_lock(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(letters(box, 1))
    box.close()
    box.close()

    assert sorted(file.name for file in path.parent.iterdir()) == ["outbox.db"]


def test_what_a_crawl_has_to_send_outlives_the_removal_of_its_file(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(letters(box, 1, 2))
    box.reject([Rejected(letters(box, 3)[0], "too large")])

    shutil.rmtree(path.parent)
    box.add(letters(box, 4))

    assert [letter.number for letter in box.read(None, 10, MB)] == [1, 2, 4]
    assert box.room == MB - 4
    other = Outbox(path, MB)
    other.adopt()
    assert other.pending() == 0  # they are still those of the crawl that runs
    box.close()
    other.adopt()
    assert [(one.letter.number, one.reason) for one in other.everything()] == [
        (1, ""), (2, ""), (3, "too large"), (4, ""),
    ]  # fmt: skip


def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, but more than enough to look at\n" * 100)

    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        box = Outbox(path, MB)
        with pytest.raises(OutboxError, match="file"):
            box.add(letters(box, 1))


def test_a_full_disk_keeps_the_message_in_memory(path: Path) -> None:
    box = Outbox(path, MB)
    spool = opened(box, MB, Mode.OVERFLOW)
    box.add(letters(box, 10**9))
    with box._file.connection() as db:
        db.execute("PRAGMA max_page_count = 4")  # what a full disk says, without one
    spool.put("items", "t", b"x" * 100_000)

    with pytest.raises(OutboxError, match="full"):
        spool.spill()

    assert [letter.number for letter in spool.take()] == [1]


def test_a_message_stays_in_its_place_when_it_comes_back_after_others_were_spilled(path: Path) -> None:
    spool = opened(Outbox(path, MB), MB, Mode.OVERFLOW)
    for n in range(3):
        spool.put("items", "t", b"%d" % n)
    first = spool.take()
    spool.put("items", "t", b"3")
    spool.spill()

    for letter in first:
        spool.give_back(letter)
    spool.restore()

    assert [letter.data for letter in spool.take()] == [b"0", b"1", b"2", b"3"]


def test_what_is_in_flight_can_be_kept_and_is_sent_again_or_forgotten_as_it_turns_out(path: Path) -> None:
    box = Outbox(path, MB)
    spool = opened(box, MB, Mode.OVERFLOW)
    for n in range(4):
        spool.put("items", "t", b"%d" % n)
    landed, lost, *_ = spool.take()
    spool.keep_flights()
    assert box.pending() == 4
    assert spool.take() == []  # they are in flight still

    spool.acknowledge(landed)
    spool.give_back(lost)
    spool.settle()

    assert box.pending() == 3
    assert spool.save().waiting == 3


def test_nothing_is_sent_past_the_file_where_everything_goes_through_it(path: Path) -> None:
    spool = opened(Outbox(path, MB), MB, Mode.ALWAYS)
    spool.put("items", "t", b"1")

    assert spool.take() == []
    spool.spill()
    assert [letter.data for letter in spool.take()] == [b"1"]


def test_a_full_outbox_takes_no_more_and_memory_fills_up(path: Path) -> None:
    spool = opened(Outbox(path, 250), 2_000, Mode.OVERFLOW)
    for _ in range(10):
        spool.put("items", "t", b"x" * 100)

    assert spool.spill() == 2
    assert spool.full
    assert spool.save().waiting == 10  # at the end everything is kept, whatever the bound


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["put", "spill", "keep", "take", "land", "refuse", "back", "settle", "restore"]),
        st.integers(0, 99),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOVES, st.sampled_from(Mode), st.integers(2, 3_000))
def test_whatever_happens_every_message_has_one_place_and_those_sent_once_keep_their_order(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int]], mode: Mode, buffer_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("outbox") / "outbox.db"
    spool = opened(Outbox(path, 10_000), buffer_bytes, mode)
    put, flying, done, first_sent = 0, list[Letter](), set[int](), list[int]()
    for move, which in moves:
        if move == "put":
            put += 1
            spool.put("items", "t", b"%d" % put)
        elif move == "take":
            taken = spool.take()
            flying += taken
            first_sent += [one.number for one in taken if one.number not in first_sent]
        elif move in ("land", "refuse", "back") and flying:
            letter = flying.pop(which % len(flying))
            if move == "land":
                spool.acknowledge(letter)
                done.add(letter.number)
            elif move == "refuse":
                spool.refuse(letter, "why")
            else:
                spool.give_back(letter)
        elif move == "spill":
            spool.spill()
        elif move == "keep":
            spool.keep_flights()
        elif move == "settle":
            spool.settle()
        elif move == "restore" and not flying:
            spool.restore()

    assert first_sent == sorted(first_sent)
    left = spool.save()

    box = Outbox(path, MB)
    kept = {one.letter.number for one in box.everything()} if box.exists() else set[int]()
    assert kept | done == set(range(1, put + 1))
    assert not kept & done
    assert left.lost == 0


def test_no_more_than_a_thousand_messages_are_in_flight(path: Path) -> None:
    spool = opened(Outbox(path, MB), MB, Mode.OVERFLOW)
    for number in range(1_500):
        spool.put("items", "t", b"%d" % number)

    taken = [*spool.take(), *spool.take()]
    assert (len(taken), spool.flight_full, spool.take()) == (1_000, True, [])
    spool.acknowledge(taken[0])
    assert [letter.data for letter in spool.take()] == [b"1000"]


def test_the_lock_of_a_session_that_was_killed_goes_when_its_messages_are_gone(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    box = Outbox(path, MB)
    box.adopt()
    box.done(box.read(None, 10, MB))
    del box  # killed as well, with nothing left in the file; its lock is freed, the lock files stay
    assert len(list(path.parent.glob("*.lock"))) > 0

    living, last = Outbox(path, MB), Outbox(path, MB)
    living.add(letters(living, 1))
    last.adopt()
    last.close()
    assert [file.name for file in path.parent.glob("*.lock")] == [f"outbox.db-{living.session}.lock"]
    living.close()


def test_a_project_whose_settings_cannot_be_loaded_is_told_in_a_line(workdir: Path) -> None:
    (workdir / "scrapy.cfg").write_text("[settings]\ndefault = broken\n")
    (workdir / "broken.py").write_text("raise RuntimeError('no \\x1b[31m such')\n")

    done = run("estela-outbox", "list")

    assert done.code == 2
    assert "the settings of this Scrapy project cannot be loaded: RuntimeError: no \\x1b[31m such" in done.err
    assert "Traceback" not in done.err
