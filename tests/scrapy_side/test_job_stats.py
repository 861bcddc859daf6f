"""The stats of a job, as estela's readers look for them."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from estela_scrapy.job_stats import stats_payload

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


def payload(stats: dict[str, Any], now: datetime.datetime = NOW) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(stats_payload(stats, "books", "finished", now))
    return read


def test_every_stat_is_there_under_its_own_key_and_what_estela_adds() -> None:
    assert payload(STATS) == {
        **STATS,
        "start_time": "2026-01-31T09:30:15.123456+00:00",
        "spider_name": "books",
        "status": "finished",
        "finish_reason": "finished",
        "elapsed_time_seconds": 90.0,
        "items_per_minute": 20.0,
        "pages_per_minute": 30.0,
        "time_per_page_seconds": 2.0,
        "requests_per_item": 2.0,
        "http_success_rate": 75.0,
        "resources/peak_memory_bytes": 4096,
    }


def test_where_scrapy_has_said_how_long_it_took_that_stands() -> None:
    assert payload({**STATS, "elapsed_time_seconds": 12.5})["elapsed_time_seconds"] == 12.5


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


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.floats() | st.text() | st.datetimes()))
def test_whatever_the_stats_are_there_is_a_payload(stats: dict[str, Any]) -> None:
    assert set(stats) <= set(payload(stats))
