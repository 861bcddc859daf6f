"""Where streams go by each layout, and that no two of them meet unseen."""

from __future__ import annotations

from typing import Any

import pytest
from scrapy.settings import BaseSettings

from estela_queue_adapter.errors import ConfigurationError
from estela_scrapy.job.identity import Job
from estela_scrapy.routing.layout import Layout
from estela_scrapy.routing.target import JOBS, LOGS, REQUESTS, STATS, Targets
from estela_scrapy.settings import ExtensionSettings
from tests.scrapy_side.routing.kinds_of_items import Product, Review, is_cheap

JOB = Job("1", "books", "shop")
ALL = {"ESTELA_STATS_TOPIC": "job_stats", "ESTELA_LOGS_TOPIC": "job_logs"}


def targets(environ: dict[str, str] | None = None, /, job: Job = JOB, **settings: Any) -> Targets:
    return ExtensionSettings.from_scrapy(BaseSettings({**ALL, **settings}), environ or {}).targets(job)


def collections(found: Targets, item_class: str = "Product") -> list[str]:
    """Of items, requests, stats and logs."""
    items = found.items(found.default, item_class)
    return [each.dataset.collection for each in (items, *map(found.beside_items, (REQUESTS, STATS, LOGS)))]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["books", "books.requests", "job_stats", "books.logs"]),
        ({"ESTELA_LAYOUT": "spider", "ESTELA_STATS_TOPIC": "my_stats"},
         ["books", "books.requests", "books.stats", "books.logs"]),
        ({"ESTELA_LAYOUT": "class"}, ["Product", "books.requests", "job_stats", "books.logs"]),
        ({"ESTELA_LAYOUT": "job"},
         ["books-1-items_topic", "books-1-requests_topic", "job_stats", "books-1-job_logs"]),
        ({"ESTELA_DATASET": "{topic}"}, ["items_topic", "requests_topic", "job_stats", "books.logs"]),
        ({"ESTELA_DATASET": "{spider}-{class}"},
         ["books-Product", "books-Request", "job_stats", "books.logs"]),
    ],
)  # fmt: skip
def test_a_layout_says_which_collections_there_are_and_templates_win(
    settings: dict[str, Any], expected: list[str]
) -> None:
    found = targets(**settings)

    assert collections(found) == expected
    found.check()


def test_a_plain_dict_has_no_class_to_be_called_after() -> None:
    found = targets(ESTELA_LAYOUT="class")

    assert found.items(found.default, "dict").dataset.collection == "books"


@pytest.mark.parametrize("name", ["ESTELA_SPIDER_JOB", "ESTELA_COLLECTION", "ESTELA_UNIQUE_COLLECTION"])
def test_a_job_of_estelas_has_estelas_layout_unless_another_is_asked_for(name: str) -> None:
    environ = {name: "True" if name == "ESTELA_UNIQUE_COLLECTION" else "1.books.shop"}

    assert targets(environ).layout is Layout.JOB
    assert targets(environ, ESTELA_LAYOUT="class").layout is Layout.CLASS
    assert targets({**environ, "ESTELA_LAYOUT": "spider"}).layout is Layout.SPIDER


@pytest.mark.parametrize("layout", list(Layout))
def test_what_jobs_share_has_metadata_but_stats_and_closing_records_never_do(layout: Layout) -> None:
    found = targets(ESTELA_LAYOUT=layout.value)

    assert found.items(found.default, "dict").metadata is layout.is_shared
    assert [found.beside_items(stream).metadata for stream in (REQUESTS, LOGS)] == [layout.is_shared] * 2
    assert [found.beside_items(stream).metadata for stream in (STATS, JOBS)] == [False] * 2


def test_no_spiders_collection_is_the_one_of_anothers_requests() -> None:
    """Whatever it is called: in a job's names no part has a dot."""
    found = targets(job=Job("1", "books_requests", "shop"))

    assert "books.requests" not in collections(found)


@pytest.mark.parametrize(
    ("job", "settings", "told"),
    [
        (Job("1", "job_stats", "shop"), {}, "items and stats would share the collection shop/job_stats"),
        (Job("1", "s" * 240, "p"), {"ESTELA_LAYOUT": "spider"}, ""),
        (Job("1", "s" * 246, "p"), {"ESTELA_LAYOUT": "spider"}, "is over 255 bytes"),
        (Job("1", "s" * 230, "p"), {"ESTELA_KEY": "a", "ESTELA_ON_EXISTING": "track"}, ""),
        (Job("1", "s" * 247, "p"), {"ESTELA_KEY": "a", "ESTELA_ON_EXISTING": "track",
         "ESTELA_REQUESTS_TOPIC": "", "ESTELA_LOGS_TOPIC": ""}, "is over 255 bytes"),
        (JOB, {"ESTELA_LAYOUT": "class", "ESTELA_ITEMS": {Product: {"dataset": "books.logs"}}}, "log lines"),
        (JOB, {"ESTELA_REQUESTS_TOPIC": "items_topic"}, ""),
        (JOB, {"ESTELA_ITEMS": {Product: {}, Review: {"key": None}, is_cheap: {}}}, ""),
        (JOB, {"ESTELA_ITEMS": {Product: {"key": "sku"}}}, ""),
    ],
)  # fmt: skip
def test_names_that_meet_or_that_mongodb_does_not_take_are_refused(
    job: Job, settings: dict[str, Any], told: str
) -> None:
    if not told:
        targets(job=job, **settings).check()
    else:
        with pytest.raises(ConfigurationError) as caught:
            targets(job=job, **settings).check()
        assert told in str(caught.value)
