"""Datasets of another kind, documents that somebody edited, and what a store refuses, on both stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason
from estela_consumer.keyed.tracking import REMEMBERED
from estela_consumer.stores import Outcome, Store, StoreSettings, open_store
from estela_wire.dataset import Dataset
from tests.consumer.keyed.model import Scraped, expected, found_in
from tests.consumer.stores.contract import document, reasons

STORED, PRESENT, SUPERSEDED = Outcome.STORED, Outcome.PRESENT, Outcome.SUPERSEDED
MODES = ("keep", "replace", "update", "track")

Edit = Callable[[str, dict[str, Any]], None]


@pytest.fixture
def dataset(unique: str) -> Dataset:
    return Dataset(unique, "shop")


@pytest.fixture(params=["embedded", "servers"])
def url(request: pytest.FixtureRequest, tmp_path: Path, unique: str) -> Iterator[str]:
    if request.param == "embedded":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    mongodb = request.getfixturevalue("mongodb")
    yield mongodb
    with MongoClient[Any](mongodb) as client:
        client.drop_database(unique)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(StoreSettings(url=url))
    yield store
    store.close()


@pytest.fixture
def edit(url: str, dataset: Dataset) -> Edit:
    """Set fields of the document with this sku, behind the store's back."""

    def on_mongodb(sku: str, fields: dict[str, Any]) -> None:
        with MongoClient[Any](url) as client:
            client[dataset.database][dataset.collection].update_one({"sku": sku}, {"$set": fields})

    def embedded(sku: str, fields: dict[str, Any]) -> None:
        with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
            for identity, encoded in db.execute("SELECT id, bson FROM documents").fetchall():
                found = bson.decode(encoded)
                if found.get("sku") == sku:
                    changed = bson.encode({**found, **fields})
                    db.execute("UPDATE documents SET bson = ? WHERE id = ?", (changed, identity))

    return on_mongodb if url.startswith("mongodb") else embedded


def versions(dataset: Dataset, mode: str, *prices: Any, sku: str = "a", first: int = 0) -> list[Document]:
    return [
        Scraped(first + number, sku, {"price": price}).document(dataset, mode)
        for number, price in enumerate(prices)
    ]


def content(store: Store, dataset: Dataset) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in found.items() if name not in ("_id", "_estela")}
        for found in store.read(dataset)
    ]


def changes(store: Store, dataset: Dataset) -> list[tuple[Any, Any]]:
    beside = Dataset(dataset.database, f"{dataset.collection}_changes")
    return [(found["before"], found["after"]) for found in store.read(beside)]


@pytest.mark.parametrize("mode", MODES)
def test_each_message_is_told_what_became_of_it(store: Store, dataset: Dataset, mode: str) -> None:
    old, middle, new = versions(dataset, mode, 1, 2, 3)

    verdicts = [store.write_keyed(dataset, chunk) for chunk in ([middle], [old, new], [old, middle, new])]

    assert (
        verdicts
        == {
            "keep": [[STORED], [STORED, SUPERSEDED], [PRESENT, SUPERSEDED, SUPERSEDED]],
            "replace": [[STORED], [SUPERSEDED, STORED], [SUPERSEDED, SUPERSEDED, PRESENT]],
            "update": [[STORED], [SUPERSEDED, STORED], [SUPERSEDED, SUPERSEDED, PRESENT]],
            "track": [[STORED], [STORED, STORED], [PRESENT, PRESENT, PRESENT]],
        }[mode]
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_message_that_is_delivered_again_was_there_already(
    store: Store, dataset: Dataset, mode: str
) -> None:
    [one] = versions(dataset, mode, 1)

    verdicts = [store.write_keyed(dataset, [one]) for _ in range(3)]

    assert verdicts == [[STORED], [PRESENT], [PRESENT]]


@pytest.mark.parametrize("mode", MODES)
def test_a_dataset_without_a_key_takes_no_message_with_one_and_the_other_way(
    store: Store, dataset: Dataset, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    keyed = versions(dataset, mode, 1)
    other = Dataset(dataset.database, "other")
    store.write(dataset, [document(dataset, {"sku": "a", "price": 7})])
    store.write_keyed(other, versions(other, mode, 1))

    onto_plain = store.write_keyed(dataset, keyed)
    onto_keyed = store.write(other, [document(other, {"sku": "b"})] * 2)

    assert reasons(onto_plain) == [Reason.KEY_MISMATCH]
    assert reasons(onto_keyed) == [Reason.KEY_MISMATCH] * 2
    assert f"estela-data rekey {dataset} NEW --key sku" in str(onto_plain[0])
    assert "without a key" in caplog.text
    assert content(store, dataset) == [{"sku": "a", "price": 7}]
    assert len(content(store, other)) == 1


def test_a_plain_dataset_is_found_to_be_keyed_by_another_process_too(
    url: str, store: Store, dataset: Dataset
) -> None:
    store.write_keyed(dataset, versions(dataset, "replace", 1))
    other = open_store(StoreSettings(url=url))

    verdicts = other.write(dataset, [document(dataset, {"sku": "b"})])

    other.close()
    assert reasons(verdicts) == [Reason.KEY_MISMATCH]


def test_a_message_with_another_key_is_refused_and_its_neighbours_are_stored(
    store: Store, dataset: Dataset
) -> None:
    [one, two] = versions(dataset, "replace", 1, 2)
    assert two.version is not None
    of_another = two._replace(version=two.version._replace(key=("ean",)))

    verdicts = store.write_keyed(dataset, [one, of_another])

    assert reasons(verdicts) == [STORED, Reason.KEY_MISMATCH]
    assert "the key sku" in str(verdicts[1])
    assert "the key ean" in str(verdicts[1])


@pytest.mark.parametrize("mode", ["replace", "update", "track"])
def test_an_edit_stays_until_a_newer_version_and_is_a_change_then(
    store: Store, dataset: Dataset, edit: Edit, mode: str
) -> None:
    first, second, third = versions(dataset, mode, 1, 1, 1)
    store.write_keyed(dataset, [first, second])
    edit("a", {"price": 99, "note": "by hand"})

    store.write_keyed(dataset, [first, second])
    redelivered = content(store, dataset)
    store.write_keyed(dataset, [third])

    assert redelivered == [{"sku": "a", "price": 99, "note": "by hand"}]
    merged = {"note": "by hand"} if mode == "update" else {}
    assert content(store, dataset) == [{"sku": "a", "price": 1, **merged}]
    if mode == "track":
        assert changes(store, dataset) == [({"price": 99, "note": "by hand"}, {"price": 1})]


@pytest.mark.parametrize("late", [1, 2])
def test_a_change_stays_if_somebody_undid_it_and_a_late_version_says_the_same(
    store: Store, dataset: Dataset, edit: Edit, late: int
) -> None:
    first, between, second = versions(dataset, "track", 1, late, 2)
    store.write_keyed(dataset, [first, second])
    edit("a", {"price": 1})

    verdicts = store.write_keyed(dataset, [between])

    assert verdicts == [STORED]
    assert content(store, dataset) == [{"sku": "a", "price": 1}]
    assert (
        changes(store, dataset)
        == {
            1: [({"price": 1}, {"price": 2})],
            2: [({"price": 1}, {"price": 2}), ({"price": 2}, {"price": 1})],
        }[late]
    )


@pytest.mark.parametrize("mode", ["replace", "track"])
@pytest.mark.parametrize("broken", [None, 7, {"id": 1}, {"id": "x", "revision": "y"}])
def test_a_document_whose_subdocument_was_edited_takes_no_version_and_its_neighbours_do(
    store: Store, dataset: Dataset, edit: Edit, mode: str, broken: Any
) -> None:
    store.write_keyed(dataset, [*versions(dataset, mode, 1, sku="b"), *versions(dataset, mode, 1, sku="a")])
    first = next(iter(store.read(dataset)))["sku"]
    last = {"a": "b", "b": "a"}[first]
    edit(last, {"_estela": broken})

    chunk = [*versions(dataset, mode, 2, first=5, sku=last), *versions(dataset, mode, 2, first=5, sku=first)]
    verdicts = store.write_keyed(dataset, chunk)

    assert reasons(verdicts) == [Reason.KEY_MISMATCH, STORED]
    assert "Remove it" in str(verdicts[0])


@pytest.mark.parametrize("edited", ["versions", "forgotten_until"])
def test_a_history_that_was_edited_is_no_fault_of_the_program(
    store: Store, dataset: Dataset, edit: Edit, edited: str
) -> None:
    store.write_keyed(dataset, versions(dataset, "track", 1, 2))
    ours = next(iter(store.read(dataset)))["_estela"]
    edit("a", {"_estela": {**ours, edited: "nonsense"}})

    verdicts = store.write_keyed(dataset, versions(dataset, "track", 3, first=5))

    assert reasons(verdicts) == [Reason.KEY_MISMATCH]


@pytest.mark.parametrize("mode", ["replace", "track"])
def test_a_document_whose_pending_changes_were_edited_takes_no_version(
    mongodb: str, dataset: Dataset, mode: str
) -> None:
    store = open_store(StoreSettings(url=mongodb))
    store.write_keyed(dataset, versions(dataset, "track", 1, 2))
    with MongoClient[Any](mongodb) as client:
        client[dataset.database][dataset.collection].update_one({}, {"$set": {"_estela.pending": "nonsense"}})

        verdicts = store.write_keyed(dataset, versions(dataset, mode, 3, first=5))

        client.drop_database(dataset.database)
    store.close()
    assert reasons(verdicts) == [Reason.KEY_MISMATCH]
    assert "_estela.pending was edited" in str(verdicts[0])


def test_a_long_history_is_exact_in_order_and_what_is_older_than_it_remembers_is_superseded(
    store: Store, dataset: Dataset
) -> None:
    count = 3 * REMEMBERED
    chosen = [Scraped(number, "a", {"price": number // 4}) for number in range(1, count)]
    for at in range(0, len(chosen), 7):
        store.write_keyed(dataset, [one.document(dataset, "track") for one in chosen[at : at + 7]])

    before = store.write_keyed(dataset, [Scraped(0, "a", {"price": 77}).document(dataset, "track")])
    again = store.write_keyed(dataset, [one.document(dataset, "track") for one in chosen])
    beside = Dataset(dataset.database, "shop_changes")
    found = found_in(store.read(dataset), store.read(beside))
    [stored] = store.read(dataset)

    assert before == [SUPERSEDED]
    assert set(again) == {SUPERSEDED, PRESENT}
    assert found.changes == expected("track", chosen).changes
    assert len(stored["_estela"]["versions"]) == REMEMBERED


def test_many_versions_of_one_key_in_one_chunk_are_all_entered(store: Store, dataset: Dataset) -> None:
    chosen = [Scraped(number, "a", {"price": number % 3}) for number in range(250)]

    verdicts = store.write_keyed(dataset, [one.document(dataset, "track") for one in chosen])

    beside = Dataset(dataset.database, "shop_changes")
    assert verdicts == [STORED] * 250
    assert found_in(store.read(dataset), store.read(beside)).changes == expected("track", chosen).changes


def test_large_values_are_digests_in_changes_and_whole_in_the_document(
    store: Store, dataset: Dataset
) -> None:
    texts = ["x" * 5_000_000, "y" * 5_000_000, "x" * 5_000_000, "x" * 5_000_000]
    first, second, third, last = versions(dataset, "track", *texts)

    verdicts = [store.write_keyed(dataset, [one])[0] for one in (first, third, last, second)]

    assert verdicts == [STORED] * 4
    assert content(store, dataset) == [{"sku": "a", "price": texts[-1]}]
    [(before, after), (back_before, back_after)] = changes(store, dataset)
    assert (before, after) == (back_after, back_before)
    assert len(before["price"]) == len(after["price"]) == 16


def test_a_mode_may_follow_another(store: Store, dataset: Dataset) -> None:
    for number, mode in enumerate(["keep", "replace", "update", "track", "replace", "track", "track"]):
        verdicts = store.write_keyed(dataset, versions(dataset, mode, number, first=number))
        assert verdicts == [SUPERSEDED if mode == "keep" and number else STORED]

    assert content(store, dataset) == [{"sku": "a", "price": 6}]
    assert changes(store, dataset) == [
        ({"price": 2}, {"price": 3}), ({"price": 4}, {"price": 5}), ({"price": 5}, {"price": 6}),
    ]  # fmt: skip


def test_what_mongodb_refuses_is_refused_alone(mongodb: str, dataset: Dataset) -> None:
    """Also if several versions of one document were to be written together."""
    store = open_store(StoreSettings(url=mongodb))
    with MongoClient[Any](mongodb) as client:
        client[dataset.database].create_collection(
            dataset.collection, validator={"price": {"$not": {"$lt": 0}}}
        )
        chunks: Sequence[list[Document]] = [
            [*versions(dataset, "track", 1, 2, -1), *versions(dataset, "track", -1, sku="b", first=9)],
            [*versions(dataset, "track", 3, 4, -1, first=5), *versions(dataset, "track", 1, sku="c")],
        ]
        verdicts = [reasons(store.write_keyed(dataset, chunk)) for chunk in chunks]
        found = changes(store, dataset)
        client.drop_database(dataset.database)
    store.close()

    assert verdicts == [
        [STORED, STORED, Reason.INVALID, Reason.INVALID], [STORED, STORED, Reason.INVALID, STORED],
    ]  # fmt: skip
    assert [after["price"] for _, after in found] == [2, 3, 4]


def test_a_store_without_keyed_writes_says_so_in_one_line(dataset: Dataset) -> None:
    class Plain(Store):
        def describe(self) -> str:
            return "a plain store"

        check = close = write = datasets = read = ids = examine = None  # type: ignore[assignment]

    Plain.__abstractmethods__ = frozenset()

    [verdict] = Plain().write_keyed(dataset, versions(dataset, "keep", 1))

    assert isinstance(verdict, BadMessage)
    assert str(verdict) == "a plain store has no keyed writes: it cannot store messages with a key"
