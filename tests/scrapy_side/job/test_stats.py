"""The stats of a job, as estela's readers look for them."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_scrapy.job.stats import Goal, stats_payload

pytestmark = pytest.mark.processes

START = datetime.datetime(2026, 1, 31, 9, 30, 15, 123456, tzinfo=datetime.timezone.utc)
NOW = START + datetime.timedelta(seconds=90)
STATS: dict[str, Any] = {
    "start_time": START,
    "item_scraped_count": 30,
    "response_received_count": 45,
    "downloader/request_count": 60,
    "downloader/response_count": 45,
    "downloader/response_status_count/200": 44,
    "log_count/INFO": 10,
    "memusage/max": 4096,
}


def payload(stats: dict[Any, Any], goal: Goal | None = None) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(stats_payload(stats, "books", "finished", NOW, goal))
    return read


def crawled(items: int, requests: int, responses: int) -> dict[str, Any]:
    return {
        "item_scraped_count": items,
        "downloader/request_count": requests,
        "downloader/response_count": responses,
    }


def test_every_stat_is_there_under_its_own_key_and_what_estela_adds() -> None:
    assert payload(STATS) == {
        **STATS,
        "start_time": "2026-01-31T09:30:15.123456+00:00",
        "spider_name": "books",
        "status": "finished",
        "finish_reason": "finished",
        "elapsed_time_seconds": 90,
        "items_per_minute": 20.0,
        "pages_per_minute": 30.0,
        "time_per_page_seconds": 2.0,
        "requests_per_item": 2.0,
        "http_success_rate": 75.0,
        "efficiency_factor": 1.0,
        "goal_achievement": 0.0,
        "success_rate": 75.0,
        "resources/peak_memory_bytes": 4096,
    }


def test_if_scrapy_has_said_how_long_it_took_that_stands_in_whole_seconds() -> None:
    told = payload({**STATS, "elapsed_time_seconds": 12.5})

    assert told["elapsed_time_seconds"] == 12
    assert told["items_per_minute"] == 60 * 30 / 12.5


@pytest.mark.parametrize(
    ("requests", "factor"),
    [
        (0, 1.0),
        (300, 1.0),
        (301, 0.95),
        (400, 0.95),
        (401, 0.9),
        (500, 0.9),
        (501, 0.8),
        (700, 0.8),
        (701, 0.65),
    ],
)
def test_what_an_item_costs_in_requests_decides_the_efficiency(requests: int, factor: float) -> None:
    told = payload(crawled(100, requests, requests))

    assert told["efficiency_factor"] == factor
    assert told["success_rate"] == (100 * factor if requests else 0.0)


def test_without_items_the_efficiency_is_the_least_and_a_request_an_item_is_none() -> None:
    told = payload(crawled(0, 10, 9))

    assert (told["requests_per_item"], told["efficiency_factor"]) == (0.0, 0.65)
    assert told["success_rate"] == 58.5  # 90 * 0.65


def test_more_answers_than_requests_are_all_that_can_be() -> None:
    assert payload(crawled(10, 10, 12))["http_success_rate"] == 100.0


@pytest.mark.parametrize(
    ("environ", "rate"),
    [
        ({"ITEMS_EXPECTED": "200"}, 62.0),  # 0.7 * 50 + 0.3 * 90
        (
            {"ITEMS_EXPECTED": "200", "SUCCESS_RATE_GOAL_WEIGHT": "0.5", "SUCCESS_RATE_HTTP_WEIGHT": "0.5"},
            70.0,
        ),
        ({"ITEMS_EXPECTED": "10"}, 100.0),  # 1000 % of the goal
        ({"ITEMS_EXPECTED": "0"}, 90.0),
        ({"ITEMS_EXPECTED": ""}, 90.0),
        ({"SUCCESS_RATE_GOAL_WEIGHT": "0.5"}, 90.0),
    ],
)
def test_a_goal_weighs_in_as_estela_weighs_it(environ: dict[str, str], rate: float) -> None:
    told = payload(crawled(100, 100, 90), Goal.from_environ(environ))

    assert told["success_rate"] == rate


@pytest.mark.parametrize("given", ["many", "nan", "inf"])
def test_a_goal_that_is_no_number_is_told_and_has_no_effect(
    given: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert Goal.from_environ({"ITEMS_EXPECTED": given}) == Goal()
    assert f"ITEMS_EXPECTED='{given}' is not a number" in caplog.text


def test_a_crawl_without_anything_divides_by_nothing() -> None:
    told = payload({})

    assert (told["elapsed_time_seconds"], told["items_per_minute"], told["http_success_rate"]) == (
        0.0,
        0.0,
        0.0,
    )


def test_values_are_written_as_scrapys_feed_writes_them_and_odd_ones_as_text() -> None:
    told = payload({"price": Decimal("1.10"), "on": NOW.date(), "odd": 1j, "coverage": {"total_items": 2}})

    assert (told["price"], told["on"], told["odd"]) == ("1.10", "2026-01-31", "1j")
    assert told["coverage"] == {"total_items": 2}


def test_keys_of_any_type_are_there_as_text_and_none_takes_the_place_of_another() -> None:
    told = payload({1: "int", "1": "text", ("a", 2): "tuple", None: "none", "nested": {3: {4.5: b"x"}}})

    assert (told["1"], told["('a', 2)"], told["None"]) == ("text", "tuple", "none")
    assert told["nested"] == {"3": {"4.5": "x"}}


def test_what_mongodb_has_no_word_for_becomes_text() -> None:
    told = payload({"big": 2**63, "deep": [{"big": -(2**70)}], "\ud800": "\udfff"})

    assert (told["big"], told["deep"]) == (str(2**63), [{"big": str(-(2**70))}])
    assert told["\\ud800"] == "\\udfff"


def test_one_stat_that_cannot_be_written_at_all_costs_no_other() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no")

    circle: list[Any] = []
    circle.append(circle)

    told = payload({"odd": Odd(), "circle": circle, Odd(): 1, "items": 3})

    assert told["odd"] == "<Odd: RuntimeError>"
    assert (told["circle"], told["items"]) == ("[[...]]", 3)


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | st.timedeltas()
    | st.complex_numbers()
    | st.decimals()
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=5
)


@given(st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()) | st.none(), _VALUES))
def test_whatever_the_stats_are_there_is_a_document_with_all_of_their_keys(stats: dict[Any, Any]) -> None:
    told = payload(stats)

    assert {str(key).replace("\0", "\\x00") for key in stats} <= set(told)
    assert bson.encode(told)


@given(st.dictionaries(st.sampled_from(list(STATS)), _VALUES))
def test_whatever_scrapys_own_stats_hold_the_metrics_are_numbers_within_their_bounds(
    stats: dict[str, Any],
) -> None:
    told = payload(stats, Goal(items=10))

    for name in ("success_rate", "http_success_rate"):
        assert 0 <= told[name] <= 100
    assert told["elapsed_time_seconds"] >= 0
