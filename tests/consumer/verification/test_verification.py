"""How long `estela-verify` looks, and what it says; the clock is passed in, a look is a function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from estela_consumer.errors import StoreUnreachable
from estela_consumer.verification.report import sentence
from estela_consumer.verification.verification import StreamCount, Verification
from estela_consumer.verification.waiting import verify_until
from estela_queue_adapter.errors import QueueUnreachable
from estela_terminal.exit_codes import ExitCode

OF_NINE = "of the 9 messages that job 1.s.p published"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def found(**counts: Any) -> Verification:
    names = (
        "published", "stored", "dead_letters", "failed", "filtered", "missing", "too_many", "unaccounted",
        "unscraped",
    )  # fmt: skip
    reason, unrecorded = counts.pop("finish_reason", "finished"), counts.pop("unrecorded_runs", 0)
    given = {**dict.fromkeys(names, 0), "published": 9, "stored": 9, "scraped": 9, **counts}
    stream = StreamCount(
        stream="items", topic="t", dataset="p/s-1-t", group="group_t", on_existing="", lag=None, **given
    )
    return Verification(
        jid="1.s.p", runs=1, finish_reason=reason, responses=4, not_published=0,
        unrecorded_runs=unrecorded, streams=(stream,),
    )  # fmt: skip


def test_it_looks_until_nothing_is_missing() -> None:
    clock = Clock()
    looks = iter([None, found(missing=3), found(missing=0, failed=1), found(missing=0)])

    assert verify_until(lambda: next(looks), 60.0, clock, clock.sleep) == found(missing=0, failed=1)


def test_when_the_time_is_over_the_last_look_counts() -> None:
    clock = Clock()

    assert verify_until(lambda: found(missing=3), 5.0, clock, clock.sleep) == found(missing=3)
    assert clock.now == 5.0


def test_looks_are_as_far_apart_as_they_are_long() -> None:
    clock = Clock()
    began: list[float] = []

    def look() -> None:
        began.append(clock.now)
        clock.sleep(2.0)

    verify_until(look, 9.0, clock, clock.sleep)

    assert began == [0.0, 4.0, 8.0]


@pytest.mark.parametrize("error", [StoreUnreachable("away"), QueueUnreachable("away")])
def test_what_is_away_is_looked_at_again_until_the_time_is_over(error: Exception) -> None:
    clock = Clock()
    answers: Iterator[Exception | Verification] = iter([error, found(missing=0)])

    def look() -> Verification:
        answer = next(answers, error)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert verify_until(look, 5.0, clock, clock.sleep) == found(missing=0)
    with pytest.raises(type(error)):
        verify_until(look, 5.0, clock, clock.sleep)


@pytest.mark.parametrize(
    ("counts", "code", "told"),
    [
        ({}, ExitCode.OK, "complete: all 9 messages of job 1.s.p are stored"),
        ({"stored": None}, ExitCode.OK, "complete: all 9 messages of job 1.s.p are stored, equal items once"),
        (
            {"dead_letters": 2},
            ExitCode.DEAD_LETTERS,
            f"nothing is missing, but {OF_NINE}, 2 dead-lettered",
        ),
        (
            {"missing": 1, "dead_letters": 2, "failed": 3},
            ExitCode.INCOMPLETE,
            f"incomplete: {OF_NINE}, 1 missing, 2 dead-lettered; 3 more could not be published",
        ),
        (
            {"too_many": 4},
            ExitCode.INCOMPLETE,
            f"incomplete: {OF_NINE}, none is missing; 4 stored beyond what was published",
        ),
        (
            {"unaccounted": 2},
            ExitCode.INCOMPLETE,
            f"incomplete: {OF_NINE}, none is missing; 2 scraped but neither published nor counted as failed",
        ),
        (
            {"unscraped": 1, "finish_reason": "shutdown"},
            ExitCode.INCOMPLETE,
            f"incomplete: {OF_NINE}, none is missing; 1 published but not among what Scrapy counted as "
            "scraped; the crawl was cut short: shutdown",
        ),
        (
            {"unrecorded_runs": 1},
            ExitCode.INCOMPLETE,
            f"incomplete: {OF_NINE}, none is missing; 1 run(s) left no closing record",
        ),
        (
            {"finish_reason": "shutdown"},
            ExitCode.CUT_SHORT,
            f"cut short: the crawl ended with shutdown; {OF_NINE}, none is missing",
        ),
        (
            {"finish_reason": "closespider_timeout", "dead_letters": 2},
            ExitCode.CUT_SHORT,
            f"cut short: the crawl ended with closespider_timeout; {OF_NINE}, 2 dead-lettered",
        ),
    ],
)
def test_one_sentence_says_how_it_stands(counts: dict[str, Any], code: ExitCode, told: str) -> None:
    assert found(**counts).code is code
    assert sentence(found(**counts)) == told
