"""What estela's API and command line read of what we have stored, the way they read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from bson.objectid import ObjectId
from pymongo import MongoClient

from devservers.kafka import create_topic
from tests.consumer.commands import drain, envelope, publish

_PARTITIONS = 4
_ITEMS = 8_000
_UNIQUE_ITEMS = 2_000
_PAGES = (500, 3_000)  # documents; the larger one spans partitions


@pytest.fixture
def client(mongodb: str, unique: str) -> Iterator[MongoClient[Any]]:
    with MongoClient[Any](mongodb) as client:
        yield client
        client.drop_database(unique)


def downloaded(client: MongoClient[Any], database: str, collection: str, size: int) -> Counter[int]:
    """How often a download brings each item: its first page in natural order, each next one by `_id`."""
    found = client[database][collection]
    items: Counter[int] = Counter()
    page = list(found.find().limit(size))
    while page:
        items.update(document["n"] for document in page)
        page = list(found.find({"_id": {"$gt": ObjectId(page[-1]["_id"])}}).limit(size))
    return items


def test_a_download_brings_each_item_of_four_partitions_once_of_unique_collections_too(
    on_servers: None, kafka: str, client: MongoClient[Any], unique: str
) -> None:
    create_topic(kafka, unique, _PARTITIONS)
    items = [
        envelope({"n": n, "text": f"{n:05}" * 200}, jid=f"{'7' if n < _ITEMS else 'scj3'}.s.{unique}")
        for n in range(_ITEMS + _UNIQUE_ITEMS)
    ]
    for item in items[_ITEMS:]:
        item["unique"] = "True"
    publish(unique, items)

    result = drain(unique)

    assert result.code == 0, result.err
    for job, expected in (("7", range(_ITEMS)), ("scj3", range(_ITEMS, len(items)))):
        for size in _PAGES:
            assert downloaded(client, unique, f"s-{job}-{unique}", size) == Counter(expected)
