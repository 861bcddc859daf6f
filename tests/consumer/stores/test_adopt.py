"""`estela-data adopt` as a user runs it, on a collection that estela has written."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from devservers.ports import wait_until
from estela_consumer.adoption import AdoptionFailed, adopt
from estela_consumer.decoding.document import Document, with_id
from estela_consumer.decoding.identity import content_id
from estela_consumer.errors import StoreUnreachable, UsageError
from estela_consumer.stores import Outcome, StoreSettings
from estela_consumer.stores.mongodb import MongoStore
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from tests.consumer.commands import Result, command, drain, envelope, publish, run
from tests.consumer.stores.test_estelas_readers import downloaded

pytestmark = pytest.mark.processes

_MANY = 12_000  # documents: an adoption takes long enough to be killed in its middle
_KILLS = 3
_PLAN_KILLED = 175


@pytest.fixture
def client(on_servers: None, mongodb: str, unique: str) -> Iterator[MongoClient[Any]]:
    with MongoClient[Any](mongodb) as client:
        yield client
        client.drop_database(unique)


@pytest.fixture
def dataset(unique: str) -> Dataset:
    return Dataset(unique, f"s-scj3-{unique}")


def message(dataset: Dataset, payload: dict[str, Any]) -> dict[str, Any]:
    return envelope(payload, jid=f"scj3.s.{dataset.database}", unique="True")


def adopting(dataset: Dataset, *arguments: str) -> Result:
    return run("estela-data", "adopt", str(dataset), *arguments)


def collections(client: MongoClient[Any], dataset: Dataset) -> dict[str, Any]:
    return {found["name"]: found["options"] for found in client[dataset.database].list_collections()}


def test_after_it_the_switch_doubles_nothing_and_a_download_is_whole(
    client: MongoClient[Any], dataset: Dataset, unique: str
) -> None:
    # Given what estela has stored: a dot escaped, an item's own _id, equal items, and somebody's date.
    stored = client[dataset.database][dataset.collection]
    stored.insert_many([{"n": n, "a\\u002eb": [{"c": n / 3}]} for n in range(700)])
    stored.insert_many([{"n": n, "a\\u002eb": [{"c": n / 3}]} for n in range(20)])
    stored.insert_one({"_id": "sku-1", "n": 700})
    stored.insert_one({"n": 701, "at": datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)})
    stored.create_index("n")
    before = list(stored.find())

    # When it is looked at, nothing changes.
    surveyed = json.loads(adopting(dataset, "--dry-run", "--json").out)
    assert list(stored.find()) == before

    # When it is adopted, and every message comes again
    result = adopting(dataset, "--json")
    payloads = [{"n": n, "a.b": [{"c": n / 3}]} for n in range(700)] + [{"_id": "sku-1", "n": 700}]
    publish(unique, [message(dataset, payload) for payload in payloads])
    drained = drain(unique)

    # Then each meets itself, and a download brings each once.
    report = json.loads(result.out)
    assert result.code == 0, result.err
    assert report == {
        "database": dataset.database, "collection": dataset.collection, "dry_run": False,
        "documents": 722, "adopted": 721, "ours": 0, "merged": 20, "kept": 1, "reasons": {"date": 1},
        "clustered": True, "changed": True,
    }  # fmt: skip
    assert surveyed == {**report, "dry_run": True, "clustered": False, "changed": False}
    assert drained.code == 0, drained.err
    assert downloaded(client, *dataset, 100) == Counter(range(702))
    assert list(collections(client, dataset)) == [dataset.collection]
    assert set(collections(client, dataset)[dataset.collection]) == {"clusteredIndex"}
    assert "n_1" in stored.index_information()

    # And once more there is nothing to do.
    again = adopting(dataset)
    assert "nothing to do; clustered on _id" in again.out


def test_killed_in_its_middle_it_loses_nothing_and_ends_well_when_it_is_run_again(
    client: MongoClient[Any], dataset: Dataset, mongodb: str
) -> None:
    stored = client[dataset.database][dataset.collection]
    stored.insert_many([{"n": n, "text": "x" * 300} for n in range(_MANY)])
    watched = Watched(client, dataset, mongodb)

    with watched:
        for kill in range(_KILLS):
            process = subprocess.Popen(
                [*command("estela-data"), "adopt", str(dataset)], stderr=subprocess.DEVNULL
            )
            wait_until(lambda: any("adopting-" in name for name in collections(client, dataset)), "a new one")
            time.sleep(0.05 * kill)
            process.send_signal(signal.SIGKILL)
            process.wait()
        result = adopting(dataset, "--json")

    assert result.code == 0, result.err
    assert watched.fewest >= _MANY
    assert watched.written > 0
    found = Counter(document["n"] for document in stored.find())
    assert found == Counter(range(_MANY + watched.written))
    assert list(collections(client, dataset)) == [dataset.collection]


class Watched:
    """A reader who counts, and a consumer who writes, for as long as the block lasts."""

    def __init__(self, client: MongoClient[Any], dataset: Dataset, url: str) -> None:
        self.fewest = _MANY
        self.written = 0
        self._found = client[dataset.database][dataset.collection]
        self._dataset = dataset
        self._store = MongoStore(StoreSettings(url=url))
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._write)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *error: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        self._store.close()

    def _read(self) -> None:
        while not self._done.is_set():
            try:
                found = self._found.count_documents({})
            except OperationFailure as error:
                assert error.code == _PLAN_KILLED  # noqa: PT017  (by the swap; asked again, it is answered)
                continue
            self.fewest = min(self.fewest, found)

    def _write(self) -> None:
        while not self._done.wait(0.01):
            payload = {"n": _MANY + self.written, "text": "y"}
            encoded = with_id(content_id(payload), bson.encode(payload))
            document = Document(self._dataset, encoded, Message("t", 0, 0, 0.0, None, b"", ()))
            try:
                [verdict] = self._store.write(self._dataset, [document])
            except StoreUnreachable as error:
                assert "estela-data adopt" in str(error)  # noqa: PT017  (it is waited out)
                continue
            assert verdict is Outcome.STORED
            self.written += 1


def test_a_consumer_says_what_it_waits_for_and_goes_on_after_a_cancel(
    client: MongoClient[Any], dataset: Dataset, unique: str
) -> None:
    client[dataset.database].create_collection(
        dataset.collection, validator={"$jsonSchema": {"title": "estela-data adopt", "not": {}}}
    )
    publish(unique, [message(dataset, {"n": 1})])

    waited = drain(unique, ESTELA_MAX_WAIT="1")
    cancelled, again = adopting(dataset, "--cancel"), adopting(dataset, "--cancel")
    drained = drain(unique)

    assert waited.code == 5
    assert f"nothing can be written to {dataset} until `estela-data adopt`" in waited.err
    assert "cancelled" in cancelled.out
    assert "nothing to cancel" in again.out
    assert drained.code == 0
    assert client[dataset.database][dataset.collection].count_documents({}) == 1


def test_with_nothing_to_do_it_ends_what_an_interrupted_run_has_left(
    client: MongoClient[Any], dataset: Dataset, mongodb: str
) -> None:
    store = MongoStore(StoreSettings(url=mongodb))
    client[dataset.database][dataset.collection].insert_one({"n": 1})
    adopt(store.replacement(dataset), lambda _: None)
    store.replacement(dataset).hold()

    report = adopt(store.replacement(dataset), lambda _: None)

    client[dataset.database][dataset.collection].insert_one({"n": 2})
    assert (report.ours, report.changed, report.clustered) == (1, False, True)
    store.close()


def test_a_sigterm_leaves_it_as_it_was(client: MongoClient[Any], dataset: Dataset) -> None:
    stored = client[dataset.database][dataset.collection]
    stored.insert_many([{"n": n, "text": "x" * 300} for n in range(_MANY)])

    process = subprocess.Popen(
        [*command("estela-data"), "adopt", str(dataset)], stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: any("adopting-" in name for name in collections(client, dataset)), "a new one")
    process.terminate()
    _, told = process.communicate()

    assert process.returncode == 128 + signal.SIGTERM
    assert told.splitlines()[-1].startswith(f"Error: {dataset}: stopped by SIGTERM. Run ")
    assert "Traceback" not in told
    assert collections(client, dataset).keys() == {dataset.collection}
    stored.insert_one({"n": _MANY})
    assert stored.count_documents({}) == _MANY + 1


def test_of_two_at_once_one_says_so_and_nothing_is_lost(
    client: MongoClient[Any], dataset: Dataset, mongodb: str
) -> None:
    stored = client[dataset.database][dataset.collection]
    stored.insert_many([{"n": n} for n in range(3_000)])
    store = MongoStore(StoreSettings(url=mongodb))
    first, second = store.replacement(dataset), store.replacement(dataset)
    add = first.add

    def with_another(documents: Any) -> int:
        second.hold()  # the other begins when this one is in its middle
        first.add = add  # type: ignore[method-assign]
        return add(documents)

    first.add = with_another  # type: ignore[method-assign]

    with pytest.raises(AdoptionFailed, match="another adoption"):
        adopt(first, lambda _: None)
    report = adopt(second, lambda _: None)

    assert report.documents == 3_000
    assert {document["n"] for document in stored.find()} == set(range(3_000))
    assert collections(client, dataset).keys() == {dataset.collection}
    store.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"capped": True, "size": 10_000}, "not a plain collection (capped, size)"),
        ({"validator": {"n": 1}}, "not a plain collection (validator)"),
        ({"timeseries": {"timeField": "at"}}, "not a plain collection (timeseries"),
        ({"viewOn": "other"}, "not a plain collection (view"),
        ({"collation": {"locale": "fr"}}, "not a plain collection (collation)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_collection_of_another_kind_is_refused(
    client: MongoClient[Any], dataset: Dataset, mongodb: str, options: dict[str, Any], told: str
) -> None:
    client[dataset.database].create_collection(dataset.collection, **options)
    store = MongoStore(StoreSettings(url=mongodb))

    with pytest.raises(UsageError, match=re.escape(told)):
        store.replacement(dataset)

    store.close()


@pytest.mark.parametrize(
    "name",
    [
        "a.b/c",
        "a b/c",
        "admin/c",
        "local/oplog.rs",
        "p/system.views",
        "p/x$y",
        "p/..",
        "p/x\x1b[31m",
        "p" * 80 + "/c",
    ],
)
def test_a_name_that_no_dataset_has_is_not_there(mongodb: str, name: str) -> None:
    store = MongoStore(StoreSettings(url=mongodb))

    with pytest.raises(UsageError, match="there is no dataset"):
        store.replacement(Dataset(*name.split("/")))

    store.close()


def test_what_is_not_there_or_not_unique_is_refused(client: MongoClient[Any], unique: str) -> None:
    client[unique]["s-1-items"].insert_many([{"n": 1}, {"n": 1}])
    client[unique]["job_stats"].insert_one({"_id": "s-1-job_stats"})

    missing = run("estela-data", "adopt", f"{unique}/s-scj1-items")
    plain = run("estela-data", "adopt", f"{unique}/s-1-items")
    stats = run("estela-data", "adopt", f"{unique}/job_stats", "--unique")
    meant = run("estela-data", "adopt", f"{unique}/s-1-items", "--unique")

    assert [missing.code, plain.code, stats.code, meant.code] == [2, 2, 2, 0]
    assert "there is no dataset" in missing.err
    assert "--unique" in plain.err
    assert "stats of jobs" in stats.err
    assert client[unique]["s-1-items"].count_documents({}) == 1


def test_the_embedded_store_has_nothing_to_adopt(workdir: object) -> None:
    result = run("estela-data", "adopt", "p/s-scj1-items")

    assert result.code == 2
    assert "MongoDB alone" in result.err


def test_a_store_that_is_away_is_one_line(workdir: object) -> None:
    result = run(
        "estela-data",
        "adopt",
        "p/s-scj1-items",
        DB_CONNECTION="mongodb://u:secret@127.0.0.1:1/?serverSelectionTimeoutMS=300",
    )

    assert result.code == 5
    assert "127.0.0.1:1" in result.err
    assert "secret" not in result.err + os.linesep
    assert "Traceback" not in result.err


def test_what_only_a_secondary_does_not_know_yet_is_adopted_too(
    client: MongoClient[Any], dataset: Dataset, mongodb: str
) -> None:
    client[dataset.database][dataset.collection].insert_one({"n": 1})
    store = MongoStore(StoreSettings(url=f"{mongodb}&readPreference=secondary"))  # there is none at all

    report = adopt(store.replacement(dataset), lambda _: None)

    assert report.documents == 1
    store.close()
