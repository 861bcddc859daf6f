"""`estela-verify` of jobs with a key: each message has had its effect, or is missing."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bson.objectid import ObjectId
from pymongo import MongoClient

from tests.consumer.commands import drain, exported
from tests.consumer.verification.ended_jobs import EndedJob, counts, verified

pytestmark = pytest.mark.processes


def shop(prices: list[int]) -> list[dict[str, Any]]:
    return [{"sku": f"s{number}", "price": price} for number, price in enumerate(prices)]


def keyed(mode: str) -> dict[str, Any]:
    return {"key": ("sku",), "on_existing": mode, "dataset_name": "shop"}


@pytest.fixture
def jobs(unique: str) -> list[EndedJob]:
    """Two jobs of one dataset, on one topic."""
    return [EndedJob(f"{number}.s.{unique}", f"jobs-{unique}") for number in (1, 2)]


@pytest.mark.parametrize("mode", ["keep", "replace", "update", "track"])
@pytest.mark.usefixtures("workdir")
def test_both_jobs_of_a_dataset_are_complete_though_one_document_is_there_for_each_key(
    jobs: list[EndedJob], unique: str, mode: str
) -> None:
    for job, prices in zip(jobs, ([1, 2, 3], [1, 5, 3]), strict=True):
        job.stream(
            unique, [*shop(prices), {"sku": "more", "of": job.jid}, {"sku": "more", "n": 1}], **keyed(mode)
        )
        job.close(scraped=5)

    before = verified(jobs[0])
    drained = drain(unique)
    after = [verified(job) for job in jobs]

    assert (before.code, counts(before)["missing"]) == (7, 5)
    assert drained.code == 0, drained.err
    assert len(exported(f"{unique}/shop")) == 4
    assert [result.code for result in after] == [0, 0], after[0].out
    assert "one document for each key" in after[0].summary["told"]
    assert [counts(result) for result in after] == [{"published": 5, "stored": None}] * 2


@pytest.mark.usefixtures("workdir")
def test_an_item_without_its_key_is_a_dead_letter_and_counted_as_one(
    jobs: list[EndedJob], unique: str
) -> None:
    job = jobs[0]
    job.stream(unique, [*shop([1, 2]), {"price": 3}, {"sku": None}, {"sku": [1]}], **keyed("replace"))
    job.close(scraped=5)
    drained = drain(unique)

    result = verified(job)

    assert drained.code == 3
    assert counts(result) == {"published": 5, "stored": None, "dead_letters": 3}
    assert result.summary["exit"] == "DEAD_LETTERS"


@pytest.mark.usefixtures("workdir")
def test_a_change_that_was_written_when_the_key_was_text_is_right_when_it_is_a_number(
    jobs: list[EndedJob], unique: str
) -> None:
    keys: list[list[Any]] = [[7, "7"], [7]]
    for job, skus in zip(jobs, keys, strict=True):
        job.stream(unique, [{"sku": sku} for sku in skus], **keyed("track"))
        job.close(scraped=len(skus))
        assert drain(unique).code == 0
        time.sleep(1.1)  # ids of messages begin with their second: those of the next job come later

    results = [verified(job) for job in jobs]

    changes = exported(f"{unique}/shop_changes")
    assert [change["key"] for change in changes] == [{"sku": "7"}, {"sku": 7}]
    assert [result.code for result in results] == [0, 0], results[0].out


@pytest.mark.usefixtures("on_servers")
def test_a_document_or_a_change_that_somebody_removed_is_missing(
    jobs: list[EndedJob], unique: str, mongodb: str
) -> None:
    for job, prices in zip(jobs, ([1, 2, 3], [1, 5, 6]), strict=True):
        job.stream(unique, shop(prices), **keyed("track"))
        job.close(scraped=3)
        time.sleep(1.1)  # as above: the second job is the later one
    assert drain(unique).code == 0
    complete = [verified(job).code for job in jobs]

    with MongoClient[Any](mongodb) as client:
        database = client[unique]
        changes = list(database["shop_changes"].find().sort("before.price", 1))
        database["shop"].delete_one({"sku": "s0"})
        database["shop_changes"].delete_one({"_id": changes[0]["_id"]})
        results = [verified(job) for job in jobs]
        client.drop_database(unique)

    assert complete == [0, 0]
    assert [(change["before"], change["after"]) for change in changes] == [
        ({"price": 2}, {"price": 5}), ({"price": 3}, {"price": 6}),
    ]  # fmt: skip
    assert [change["job"] for change in changes] == ["2", "2"]
    assert all(isinstance(change["document"], ObjectId) for change in changes)
    assert [counts(result) for result in results] == [{"published": 3, "stored": None, "missing": 2}] * 2
