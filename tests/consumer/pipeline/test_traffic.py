"""The line about a topic in the log, and the pace on the terminal."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.pipeline.pace import Pace, shown_seconds
from estela_consumer.pipeline.progress import Progress
from estela_consumer.pipeline.traffic import TrafficLog
from estela_consumer.pipeline.writers import WriteResult
from estela_wire.dataset import Dataset
from tests.consumer.commands import drain, envelope, publish, run


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_topic_has_a_line_when_it_is_time_and_something_has_come(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = Progress(("a", "b"), clock)
    log = TrafficLog(progress, {"a": 7, "b": None}.get, 10.0, clock)

    def come(topic: str, messages: int) -> None:
        progress.count_read(topic, messages, 0)
        progress.count_written(topic, WriteResult(stored=Counter({Dataset("db", "c"): messages})))

    come("a", 5_000)
    for clock.now in (1.0, 9.9, 10.0, 10.1, 20.0, 30.0):
        log.tick()
        if clock.now == 20.0:
            come("b", 1)
    come("a", 1)
    clock.now = 31.0
    log.finish()
    log.finish()

    assert [record.getMessage() for record in caplog.records] == [
        "a: 5,000 read in 10.0 s (500 a second): 5,000 stored, 0 already there, 0 dead letters; 7 to come",
        "b: 1 read in 10.0 s (0 a second): 1 stored, 0 already there, 0 dead letters",
        "a: 1 read in 1.0 s (1 a second): 1 stored, 0 already there, 0 dead letters; 7 to come",
    ]
    assert [record.__dict__["topic"] for record in caplog.records] == ["a", "b", "a"]


def test_an_interval_of_0_is_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    progress = Progress(("a",), clock)
    log = TrafficLog(progress, lambda _: None, 0.0, clock)

    progress.count_read("a", 1, 0)
    clock.now = 100.0
    log.tick()
    log.finish()

    assert caplog.records == []


@pytest.mark.processes
@pytest.mark.usefixtures("workdir")
def test_a_drain_tells_its_topic_once_and_its_batches_only_if_asked() -> None:
    publish("topic", [envelope({"n": n}) for n in range(3_000)])

    quiet = drain("topic", ESTELA_CHUNK_COUNT="100")
    verbose = run("estela-consume", "topic", "--drain", "--verbose", "--group", "again")

    assert quiet.err.count("topic: 3,000 read in ") == 1
    assert "messages up to" not in quiet.err
    assert quiet.err.count("is not set: using the embedded") == 2
    assert "DEBUG topic: " in verbose.err
    assert "messages up to 0:3000 in" in verbose.err


def test_the_rate_is_that_of_the_last_ten_seconds_and_what_remains_counts_down() -> None:
    pace = Pace()
    for tenth in range(600):
        at = tenth / 10
        pace.add(at, int(at * 1_000 if at < 30 else 30_000 + (at - 30) * 10), int(6_000 - at * 100))

    assert pace.rate == pytest.approx(10, abs=1)
    assert pace.remaining == 10
    assert pace.seconds_left == pytest.approx(0.1, abs=0.05)


def test_without_progress_there_is_no_time_left_to_tell() -> None:
    pace = Pace()
    assert (pace.rate, pace.remaining, pace.seconds_left) == (0.0, None, None)
    pace.add(0.0, 0, 100)
    assert (pace.remaining, pace.seconds_left) == (100, None)
    pace.add(1.0, 10, 200)
    assert pace.seconds_left is None
    pace.add(2.0, 20, None)
    assert (pace.remaining, pace.seconds_left) == (None, None)


@given(st.floats(0, 1e9))
def test_any_time_left_is_shown_shortly(seconds: float) -> None:
    assert len(shown_seconds(seconds)) <= 12


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "1 s"), (59, "59 s"), (90, "2 min"), (3_600, "1 h 0 min"), (90_000, "25 h 0 min"), (1e6, "11 days")],
)
def test_a_time_left_is_told_as_people_do(seconds: float, shown: str) -> None:
    assert shown_seconds(seconds) == shown
