"""The outbox's file, and the buffer that moves messages between it and memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from estela_scrapy.delivery.buffer import DeliveryBuffer, Mode
from estela_scrapy.delivery.outbox import Outbox, OutboxError, PendingMessage, RefusedMessage
from tests.consumer.commands import run

pytestmark = pytest.mark.processes

MB = 1024 * 1024

# Adds three messages and dies with its session, as kill -9 would have it.
KILLED = """
import os, sys
from pathlib import Path
from estela_scrapy.delivery.outbox import PendingMessage, Outbox
box = Outbox(Path(sys.argv[1]), 1024)
box.add([PendingMessage(box.session, n, "items", "t", b"%d" % n) for n in range(3)])
os._exit(9)
"""


def messages(box: Outbox, *numbers: int, size: int = 1) -> list[PendingMessage]:
    return [PendingMessage(box.session, n, "items", "t", b"x" * size) for n in numbers]


def opened(box: Outbox, buffer_bytes: int, mode: Mode) -> DeliveryBuffer:
    """A buffer that has looked what an earlier crawl left, as the publisher does first."""
    buffer = DeliveryBuffer(box, buffer_bytes, mode)
    buffer.open_file()
    return buffer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "outbox.db"


def test_what_is_added_is_read_in_order_until_it_is_done(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(messages(box, 3, 1))
    box.add(messages(box, 2))

    one, two, three = box.read(None, 10, MB)
    box.done([one])

    assert [message.number for message in (one, two, three)] == [1, 2, 3]
    assert box.read(two, 10, MB) == [three]
    assert box.pending() == 2
    assert box.free_bytes == MB - 2


def test_a_read_is_bounded_by_count_and_bytes_and_a_large_message_comes_alone(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(messages(box, *range(5), size=100))

    assert len(box.read(None, 2, MB)) == 2
    assert len(box.read(None, 9, 350)) == 3
    assert len(box.read(None, 9, 1)) == 1


def test_what_a_killed_crawl_left_is_the_next_ones_to_send(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    box = Outbox(path, MB)

    before = box.pending()
    box.adopt()

    assert (before, box.pending()) == (0, 3)
    assert [message.data for message in box.read(None, 9, MB)] == [b"0", b"1", b"2"]


def test_what_a_crawl_that_still_runs_has_there_is_its_own(path: Path) -> None:
    running, other = Outbox(path, MB), Outbox(path, MB)
    running.add(messages(running, 1))
    other.add(messages(other, 1))

    other.adopt()

    assert [message.session for message in other.read(None, 9, MB)] == [other.session]
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
    other.add(messages(other, *range(50)))
    box.add(messages(box, 1))

    assert [message.session for message in box.read(None, 5, MB)] == [box.session]


def test_what_was_refused_stays_with_its_reason_until_it_is_to_be_sent_again(path: Path) -> None:
    box = Outbox(path, MB)
    [message] = messages(box, 1)
    box.add([message])
    box.reject([RefusedMessage(message, "too large")])

    assert box.pending() == 0
    assert list(box.everything()) == [RefusedMessage(message, "too large")]
    assert box.summaries() == [("t", "too large", 1, 1)]
    box.accept_again()
    assert box.read(None, 9, MB) == [message]


def test_closing_leaves_the_messages_and_no_lock(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(messages(box, 1))
    box.close()
    box.close()

    assert sorted(file.name for file in path.parent.iterdir()) == ["outbox.db"]


def test_what_a_crawl_has_to_send_outlives_the_removal_of_its_file(path: Path) -> None:
    box = Outbox(path, MB)
    box.add(messages(box, 1, 2))
    box.reject([RefusedMessage(messages(box, 3)[0], "too large")])

    shutil.rmtree(path.parent)
    box.add(messages(box, 4))

    assert [message.number for message in box.read(None, 10, MB)] == [1, 2, 4]
    assert box.free_bytes == MB - 4
    other = Outbox(path, MB)
    other.adopt()
    assert other.pending() == 0  # they are still those of the crawl that runs
    box.close()
    other.adopt()
    assert [(one.message.number, one.reason) for one in other.everything()] == [
        (1, ""), (2, ""), (3, "too large"), (4, ""),
    ]  # fmt: skip


def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, but more than enough to look at\n" * 100)

    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        box = Outbox(path, MB)
        with pytest.raises(OutboxError, match="file"):
            box.add(messages(box, 1))


def test_a_full_disk_keeps_the_message_in_memory(path: Path) -> None:
    box = Outbox(path, MB)
    buffer = opened(box, MB, Mode.OVERFLOW)
    box.add(messages(box, 10**9))
    with box._file.connection() as db:
        db.execute("PRAGMA max_page_count = 4")  # what a full disk says, without one
    buffer.put("items", "t", b"x" * 100_000)

    with pytest.raises(OutboxError, match="full"):
        buffer.spill()

    assert [message.number for message in buffer.take()] == [1]


def test_a_message_stays_in_its_place_when_it_comes_back_after_others_were_spilled(path: Path) -> None:
    buffer = opened(Outbox(path, MB), MB, Mode.OVERFLOW)
    for n in range(3):
        buffer.put("items", "t", b"%d" % n)
    first = buffer.take()
    buffer.put("items", "t", b"3")
    buffer.spill()

    for message in first:
        buffer.requeue(message)
    buffer.restore()

    assert [message.data for message in buffer.take()] == [b"0", b"1", b"2", b"3"]


def test_what_is_in_flight_can_be_kept_and_is_sent_again_or_forgotten_as_it_turns_out(path: Path) -> None:
    box = Outbox(path, MB)
    buffer = opened(box, MB, Mode.OVERFLOW)
    for n in range(4):
        buffer.put("items", "t", b"%d" % n)
    landed, lost, *_ = buffer.take()
    buffer.persist_in_flight()
    assert box.pending() == 4
    assert buffer.take() == []  # they are in flight still

    buffer.acknowledge([landed])
    buffer.requeue(lost)
    buffer.apply_outcomes()

    assert box.pending() == 3
    assert buffer.close().undelivered.waiting == 3


def test_nothing_is_sent_past_the_file_where_everything_goes_through_it(path: Path) -> None:
    buffer = opened(Outbox(path, MB), MB, Mode.ALWAYS)
    buffer.put("items", "t", b"1")

    assert buffer.take() == []
    buffer.spill()
    assert [message.data for message in buffer.take()] == [b"1"]


def test_a_full_outbox_takes_no_more_and_memory_fills_up(path: Path) -> None:
    buffer = opened(Outbox(path, 250), 2_000, Mode.OVERFLOW)
    for _ in range(10):
        buffer.put("items", "t", b"x" * 100)

    assert buffer.spill() == 2
    assert buffer.full
    assert buffer.close().undelivered.waiting == 10  # at the end everything is kept, whatever the bound


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
    buffer = opened(Outbox(path, 10_000), buffer_bytes, mode)
    put, flying, done, first_sent = 0, list[PendingMessage](), set[int](), list[int]()
    for move, which in moves:
        if move == "put":
            put += 1
            buffer.put("items", "t", b"%d" % put)
        elif move == "take":
            taken = buffer.take()
            flying += taken
            first_sent += [one.number for one in taken if one.number not in first_sent]
        elif move in ("land", "refuse", "back") and flying:
            message = flying.pop(which % len(flying))
            if move == "land":
                buffer.acknowledge([message])
                done.add(message.number)
            elif move == "refuse":
                buffer.refuse(message, "why")
            else:
                buffer.requeue(message)
        elif move == "spill":
            buffer.spill()
        elif move == "keep":
            buffer.persist_in_flight()
        elif move == "settle":
            buffer.apply_outcomes()
        elif move == "restore" and not flying:
            buffer.restore()

    assert first_sent == sorted(first_sent)
    left = buffer.close().undelivered

    box = Outbox(path, MB)
    kept = {one.message.number for one in box.everything()} if box.exists() else set[int]()
    assert kept | done == set(range(1, put + 1))
    assert not kept & done
    assert left.lost == 0


def test_no_more_than_two_thousand_messages_are_in_flight(path: Path) -> None:
    buffer = opened(Outbox(path, MB), MB, Mode.OVERFLOW)
    for number in range(2_500):
        buffer.put("items", "t", b"%d" % number)

    taken = [*buffer.take(), *buffer.take()]
    assert (len(taken), buffer.in_flight_full, buffer.take()) == (2_000, True, [])
    buffer.acknowledge(taken[:1])
    assert [message.data for message in buffer.take()] == [b"2000"]


def test_the_lock_of_a_session_that_was_killed_goes_when_its_messages_are_gone(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    box = Outbox(path, MB)
    box.adopt()
    box.done(box.read(None, 10, MB))
    del box  # killed as well, with nothing left in the file; its lock is freed, the lock files stay
    assert len(list(path.parent.glob("*.lock"))) > 0

    living, last = Outbox(path, MB), Outbox(path, MB)
    living.add(messages(living, 1))
    last.adopt()
    last.close()
    assert [file.name for file in path.parent.glob("*.lock")] == [f"outbox.db-{living.session}.lock"]
    living.close()


def test_a_project_whose_settings_cannot_be_loaded_is_told_in_a_line(workdir: Path) -> None:
    (workdir / "scrapy.cfg").write_text("[settings]\ndefault = broken\n")
    (workdir / "broken.py").write_text("raise RuntimeError('no \\x1b[31m such')\n")

    done = run("estela-outbox", "list")

    assert done.code == 2
    assert "the settings broken of the Scrapy project that " in done.err
    assert "cannot be loaded: RuntimeError: no \\x1b[31m such; " in done.err
    assert "Traceback" not in done.err
