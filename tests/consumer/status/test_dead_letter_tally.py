"""The open dead letters of a topic, counted while they come and go."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from estela_consumer.dead_letters.replay import DeadLetterReader
from estela_consumer.status import dead_letter_tally
from estela_consumer.status.dead_letter_tally import DeadLetterTally, shortened
from estela_queue_adapter import open_platform
from estela_terminal.printable import printable
from tests.consumer.commands import drain, envelope, publish, run


@pytest.mark.usefixtures("surroundings")
@pytest.mark.processes
def test_they_are_counted_by_reason_and_a_replay_settles_them(unique: str) -> None:
    publish(unique, [envelope({"n": 2**70}), envelope({"n": 2**71}), b"<script>alert(1)</script>\x1b[31m"])
    drain(unique)
    platform = open_platform()
    tally = DeadLetterTally(platform, unique)

    tally.read_on()
    before = {each.reason: each for each in tally.status()}
    replayed = run(*shlex.split(before["bad_value"].replay))
    tally.read_on()
    after = {each.reason: each.letters for each in tally.status()}
    tally.close()

    assert {reason: each.letters for reason, each in before.items()} == {"bad_value": 2, "undecodable": 1}
    assert replayed.code == 0, replayed.err
    assert after == {"undecodable": 1}
    assert before["undecodable"].sample.startswith("<script>alert(1)</script>\\x1b")
    assert sum(1 for _ in DeadLetterReader(platform, unique).letters()) == 1


def test_its_memory_is_bounded_and_it_says_so(
    workdir: Path, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_tally, "_MOST_OPEN", 10)
    publish(unique, [b"not JSON"] * 15)
    drain(unique)
    tally = DeadLetterTally(open_platform(), unique)

    tally.read_on()

    [each] = tally.status()
    assert (each.letters, each.at_least) == (10, True)
    tally.close()


def test_a_topic_that_was_recreated_is_counted_anew(workdir: Path, unique: str) -> None:
    publish(unique, [b"not JSON"] * 3)
    drain(unique)
    tally = DeadLetterTally(open_platform(), unique)
    tally.read_on()
    before = [each.letters for each in tally.status()]
    for file in (workdir / ".estela").glob("queue.db*"):
        file.unlink()
    publish(unique, [b"not JSON"])
    drain(unique)

    tally.read_on()

    assert (before, [each.letters for each in tally.status()]) == ([3], [1])
    tally.close()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text() | st.text("\x1b\u202e\ud800<>&\0é", max_size=1_000))
def test_a_sample_is_short_and_can_be_looked_at(text: str) -> None:
    found = shortened(text)

    assert len(found) <= 301
    assert printable(found) == found
    assert not {"\x1b", "\u202e", "\ud800", "\0"} & set(found)
