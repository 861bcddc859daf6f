"""`estela-data index` as a user runs it, on real MongoDB."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from click.testing import CliRunner
from pymongo import MongoClient
from pymongo.collection import Collection

from estela_consumer.cli.data import data
from tests.consumer.commands import Result, drain, envelope, publish, run

pytestmark = pytest.mark.processes

NOW = datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture
def client(on_servers: None, mongodb: str, unique: str) -> Iterator[MongoClient[Any]]:
    with MongoClient[Any](mongodb) as client:
        yield client
        client.drop_database(unique)


@pytest.fixture
def products(client: MongoClient[Any], unique: str) -> Collection[Any]:
    return a_collection(client, unique)


@pytest.fixture(scope="module")
def refusing(mongodb: str) -> Iterator[dict[tuple[str, ...], Collection[Any]]]:
    """One for each key that nothing is ever created on: every index is refused."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with MongoClient[Any](mongodb) as client:
        plain = a_collection(client, name)
        found: dict[tuple[str, ...], Collection[Any]] = {(): plain}
        for key in (("sku",), ("sku", "shop")):
            found[key] = a_collection(client, name, "-".join(key))
            keyed(found[key], *key)
        yield found
        client.drop_database(name)


def a_collection(client: MongoClient[Any], database: str, name: str = "products") -> Collection[Any]:
    """A clustered collection, as the consumer makes them, of documents without a key."""
    collection = client[database].create_collection(name, clusteredIndex={"key": {"_id": 1}, "unique": True})
    collection.insert_many(
        [
            {"_id": n, "sku": n % 3, "price": n, "tags": [1], "sizes": [2], "_estela": {"scraped_at": NOW}}
            for n in range(9)
        ]
    )
    return collection


def keyed(products: Collection[Any], *key: str) -> None:
    """Have the documents look as those of a dataset with a key."""
    products.update_many({}, [{"$set": {"_estela.key": list(key), "sku": "$_id"}}])


def index(products: Collection[Any], *arguments: str) -> Result:
    return run("estela-data", "index", f"{products.database.name}/{products.name}", *arguments)


def names(products: Collection[Any]) -> set[str]:
    return set(products.index_information())


def test_an_index_is_created_once_and_listed_and_dropped(products: Collection[Any]) -> None:
    created, again = (index(products, "--on", "sku, -price") for _ in range(2))
    expiring = index(products, "--on", "_estela.scraped_at", "--expire-after", "90d")
    listed = index(products, "--json")
    dropped = index(products, "--drop", "sku_1_price_-1")

    assert [done.code for done in (created, again, expiring, listed, dropped)] == [0] * 5
    assert "created, on sku,-price." in created.out
    assert "sku_1_price_-1 exists already." in again.out
    assert "estela-verify will call what has expired missing" in expiring.out
    assert "90d" in expiring.out
    found = {each["name"]: each for each in map(json.loads, listed.out.splitlines())}
    assert found["sku_1_price_-1"]["fields"] == {"sku": 1, "price": -1}
    assert found["_estela.scraped_at_1"]["expire_after"] == 90 * 86_400
    assert products.index_information()["_estela.scraped_at_1"]["expireAfterSeconds"] == 90 * 86_400
    assert names(products) == {"_id_", "_estela.scraped_at_1"}
    assert "sku_1_price_-1" not in dropped.out.split("\n", 1)[1]


def test_an_index_may_be_unique_on_the_key_of_a_dataset_and_on_more(products: Collection[Any]) -> None:
    keyed(products, "sku")

    done = [index(products, "--on", fields, "--unique") for fields in ("sku", "price,sku")]

    assert [each.code for each in done] == [0, 0], done[0].err
    assert products.index_information()["sku_1"]["unique"] is True


@pytest.mark.parametrize(
    ("key", "arguments", "told"),
    [
        ((), ["--on", "sku", "--unique"], "each message has a document"),
        ((), ["--on", "price", "--unique"], "would turn messages into dead letters"),
        (("sku",), ["--on", "price", "--unique"], "its documents are told apart by sku"),
        (("sku", "shop"), ["--on", "sku", "--unique"], "its documents are told apart by sku, shop"),
        ((), ["--on", "tags,sizes"], "hold lists, and MongoDB refuses a document with two lists"),
        ((), ["--on", "sku", "--expire-after", "1d"], "has a date in 'sku', so none would ever expire"),
        ((), ["--on", "sku,price", "--expire-after", "1d"], "--expire-after needs one field"),
        ((), ["--on", "_estela.scraped_at", "--expire-after", "100000d"], "is longer than MongoDB takes"),
        ((), ["--on", "_estela.scraped_at", "--expire-after", "tomorrow"], "is not a duration such as 90d"),
        ((), ["--on", "_estela.scraped_at", "--expire-after", "0d"], "is not a duration"),
        ((), ["--on", "tags.0"], "names a place in a list"),
        ((), ["--on", "_id"], "every dataset has an index on _id"),
        ((), ["--on", "sku,-sku"], "names a field twice"),
        ((), ["--on", "a..b"], "is no field that an index can be on"),
        ((), ["--on", "$where"], "is no field that an index can be on"),
        ((), ["--on", ""], "is not a list of fields"),
        ((), ["--on", "sku,,price"], "is not a list of fields"),
        ((), ["--on", "--unique"], "is not a list of fields"),
        ((), ["--on", "x" * 5_000], "MongoDB refuses"),
        ((), ["--unique"], "need --on"),
        ((), ["--drop", "nope"], "has no index 'nope'; it has _id_"),
        ((), ["--drop", "_id_"], "MongoDB refuses"),
        ((), ["--on", "sku", "--drop", "_id_"], "exclude each other"),
    ],
)
def test_what_would_cost_messages_or_do_nothing_is_refused_with_the_reason(
    refusing: dict[tuple[str, ...], Collection[Any]],
    mongodb: str,
    key: tuple[str, ...],
    arguments: list[str],
    told: str,
) -> None:
    products = refusing[key]

    asked = ["--store", mongodb, "index", f"{products.database.name}/{products.name}", *arguments]
    done = CliRunner().invoke(data, asked)

    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
    assert names(products) == {"_id_"}


def test_a_key_of_decimals_is_not_for_a_unique_index(products: Collection[Any]) -> None:
    keyed(products, "sku")
    products.update_one({"_id": 1}, {"$set": {"sku": Decimal128(Decimal("7.0"))}})

    assert "7.0 and 7.00 are two keys" in " ".join(index(products, "--on", "sku", "--unique").err.split())


def test_an_index_with_other_options_is_to_be_dropped_first(products: Collection[Any]) -> None:
    index(products, "--on", "_estela.scraped_at", "--expire-after", "1d")

    done = index(products, "--on", "_estela.scraped_at", "--expire-after", "2d")

    assert done.code == 2
    assert "--drop _estela.scraped_at_1" in " ".join(done.err.split())


def test_of_no_dataset_there_are_no_indexes_and_none_is_made(client: MongoClient[Any], unique: str) -> None:
    done = run("estela-data", "index", f"{unique}/nothing", "--on", "sku")

    assert done.code == 2
    assert "there is no dataset" in done.err
    assert unique not in client.list_database_names()


def test_an_index_leaves_the_consumer_undisturbed(client: MongoClient[Any], unique: str) -> None:
    """Given a dataset that the consumer has made, and goes on to write to with an index on it."""
    names_ = {"db_name": unique, "dataset_name": "books"}
    publish(unique, [envelope({"n": n}, **names_) for n in range(3)])
    drain(unique)

    done = run("estela-data", "index", f"{unique}/books", "--on", "n")
    publish(unique, [envelope({"n": n}, **names_) for n in range(3)])
    summary = drain(unique).summary["topics"][unique]

    assert done.code == 0, done.err
    assert (summary["stored"], summary["dead_lettered"]) == (3, 0)
    [books] = client[unique].list_collections(filter={"name": "books"})
    assert "clusteredIndex" in books["options"]


def test_the_embedded_store_says_that_it_has_none(workdir: Path) -> None:
    publish("t", [envelope({"n": 1})])
    drain("t")

    done = run("estela-data", "index", "project/spider-1-t", "--on", "n")

    assert done.code == 2
    assert "has no indexes: it is read in the order of _id alone" in " ".join(done.err.split())
