"""Collections that are created clustered on `_id`, and those that are not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandListener, CommandStartedEvent

from devservers.mongodb import MongoStandalone
from estela_consumer.adoption import adopt
from estela_consumer.errors import Reason, StoreUnreachable
from estela_consumer.stores import Outcome, Store, StoreSettings, open_store
from estela_consumer.stores.mongodb import MongoStore
from estela_consumer.stores.mongodb.clustering import ClusteredCollections
from estela_consumer.stores.mongodb.rules import is_of_id
from estela_wire.dataset import Dataset
from tests.conftest import or_skip
from tests.consumer.stores.contract import document, reasons

pytestmark = pytest.mark.servers


@pytest.fixture
def dataset(unique: str) -> Dataset:
    return Dataset(unique, "s-1-items")


@pytest.fixture
def client(mongodb: str, unique: str) -> Iterator[MongoClient[Any]]:
    with MongoClient[Any](mongodb) as client:
        yield client
        client.drop_database(unique)


@pytest.fixture
def store(mongodb: str) -> Iterator[Store]:
    store = open_store(StoreSettings(url=mongodb))
    yield store
    store.close()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoClient[Any]]:
    """A server that can be told to refuse a command, as old ones and others' do."""
    with or_skip("mongod"):
        server = MongoStandalone(tmp_path_factory.mktemp("faulty"), "--setParameter", "enableTestCommands=1")
        server.start()
    with MongoClient[Any](f"mongodb://{server.address}") as client:
        yield client
    server.stop()


def options(client: MongoClient[Any], dataset: Dataset) -> dict[str, Any]:
    [found] = client[dataset.database].list_collections(filter={"name": dataset.collection})
    return dict(found["options"])


def refuse_create(client: MongoClient[Any], code: int, times: int) -> None:
    client.admin.command(
        "configureFailPoint",
        "failCommand",
        mode={"times": times},
        data={"failCommands": ["create"], "errorCode": code},
    )


class Commands(CommandListener):
    """The commands that a client sends, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


def test_its_natural_order_is_the_order_of_ids_whatever_the_order_of_writing(
    store: Store, client: MongoClient[Any], dataset: Dataset
) -> None:
    documents = [document(dataset, {"n": n}) for n in range(300)]

    for part in (documents[200:], documents[:100], documents[100:200]):
        store.write(dataset, part)

    found = client[dataset.database][dataset.collection].find()
    assert [one["n"] for one in found] == list(range(300))
    assert options(client, dataset)["clusteredIndex"]["unique"] is True


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"capped": True, "size": 100_000},
        {"validator": {"n": {"$exists": True}}},
        {"collation": {"locale": "fr"}},
        {"timeseries": {"timeField": "at"}},
        {"viewOn": "other", "pipeline": []},
    ],
    ids=lambda given: next(iter(given), "plain"),
)
def test_a_collection_that_exists_stays_what_it_is(
    store: Store,
    client: MongoClient[Any],
    dataset: Dataset,
    given: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client[dataset.database].create_collection(dataset.collection, **given)
    before = options(client, dataset)

    store.write(dataset, [document(dataset, {"n": 1})])

    assert options(client, dataset) == before
    assert "clustered" not in caplog.text


def test_many_threads_and_stores_may_be_the_first_to_write(
    mongodb: str, client: MongoClient[Any], dataset: Dataset
) -> None:
    stores = [open_store(StoreSettings(url=mongodb)) for _ in range(3)]

    def write(number: int) -> list[Any]:
        return stores[number % 3].write(dataset, [document(dataset, {"n": number})])

    with ThreadPoolExecutor(12) as threads:
        verdicts = list(threads.map(write, range(24)))

    assert verdicts == [[Outcome.STORED]] * 24
    assert "clusteredIndex" in options(client, dataset)
    for store in stores:
        store.close()


def test_a_dataset_costs_one_command_more_when_it_is_first_written_to_and_none_later(
    mongodb: str, client: MongoClient[Any], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands()
    now = [0.0]
    with MongoClient[Any](mongodb, event_listeners=[commands]) as observed:
        collections = ClusteredCollections(observed, WriteConcern("majority"), clock=lambda: now[0])

        def write() -> list[str]:
            commands.names.clear()
            refusal = collections.prepare(dataset)
            client[dataset.database][dataset.collection].insert_one({})
            collections.written(dataset, refusal)
            return list(commands.names)

        assert write() == ["create"]
        for _ in range(10):
            now[0] += 59.0
            assert write() == []
        now[0] += 61.0  # after a while in which somebody may have dropped it
        assert write() == ["create"]
        collections.forget(dataset)  # after an error
        assert write() == ["create"]


def test_only_so_many_datasets_are_remembered(mongodb: str, client: MongoClient[Any], unique: str) -> None:
    collections = ClusteredCollections(client, WriteConcern("majority"))

    for number in range(10_000):
        collections.written(Dataset(unique, str(number)), None)

    assert len(collections._written) == 2_048


def test_a_collection_that_is_dropped_between_writes_loses_nothing_that_comes_after(
    store: Store, client: MongoClient[Any], dataset: Dataset
) -> None:
    store.write(dataset, [document(dataset, {"n": 1})])
    client[dataset.database].drop_collection(dataset.collection)

    assert store.write(dataset, [document(dataset, {"n": 2})]) == [Outcome.STORED]
    assert [one["n"] for one in store.read(dataset)] == [2]


# What servers answer that do not know the option: MongoDB 5.0 and 4.4, and others that speak its protocol. (A
# real server cannot be made to answer 303 or 323.)
@pytest.mark.parametrize("code", [40415, 72, 115, 2, 9, 59, 238, 13, 8000])
def test_a_server_that_refuses_is_told_of_once_and_stores_as_before(
    faulty: MongoClient[Any], unique: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = faulty.address or ("", 0)
    store = open_store(StoreSettings(url=f"mongodb://{host}:{port}"))
    one, other = Dataset(unique, "one"), Dataset(unique, "other")
    refuse_create(faulty, code, times=2)

    with caplog.at_level(logging.WARNING):
        verdicts = [store.write(dataset, [document(dataset, {"n": 1})]) for dataset in (one, other, one)]

    assert verdicts == [[Outcome.STORED]] * 3
    assert options(faulty, one) == {}
    [told] = [record.getMessage() for record in caplog.records]
    assert f"{one} clustered on _id (code {code}: " in told
    store.close()


def test_an_outage_at_the_creation_is_waited_out_and_the_collection_is_clustered_afterwards(
    faulty: MongoClient[Any], unique: str
) -> None:
    host, port = faulty.address or ("", 0)
    store = open_store(StoreSettings(url=f"mongodb://{host}:{port}"))
    dataset = Dataset(unique, "one")
    refuse_create(faulty, 262, times=1)  # ExceededTimeLimit

    with pytest.raises(StoreUnreachable):
        store.write(dataset, [document(dataset, {"n": 1})])

    assert store.write(dataset, [document(dataset, {"n": 1})]) == [Outcome.STORED]
    assert "clusteredIndex" in options(faulty, dataset)
    store.close()


@pytest.mark.parametrize("code", [1, 8, 96, 4711])
def test_an_unknown_error_at_the_creation_is_waited_for_and_the_collection_is_clustered_afterwards(
    faulty: MongoClient[Any], unique: str, code: int
) -> None:
    host, port = faulty.address or ("", 0)
    store = open_store(StoreSettings(url=f"mongodb://{host}:{port}"))
    dataset = Dataset(unique, "one")
    refuse_create(faulty, code, times=2)

    for _ in range(2):
        with pytest.raises(StoreUnreachable):
            store.write(dataset, [document(dataset, {"n": 1})])

    assert store.write(dataset, [document(dataset, {"n": 1})]) == [Outcome.STORED]
    assert "clusteredIndex" in options(faulty, dataset)
    store.close()


def test_an_unknown_error_that_stays_is_waited_for_once_and_then_collections_are_plain(
    faulty: MongoClient[Any], unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    collections = ClusteredCollections(faulty, WriteConcern("majority"), clock=lambda: now[0])
    one, other = Dataset(unique, "one"), Dataset(unique, "other")
    refuse_create(faulty, 4711, times=4)

    for now[0] in (0.0, 29.0):
        with pytest.raises(OperationFailure):
            collections.prepare(one)
    now[0] = 31.0
    refusals = [collections.prepare(dataset) for dataset in (one, other)]
    for refusal in refusals:
        collections.written(one, refusal)

    assert [refusal and refusal.code for refusal in refusals] == [4711, 4711]
    [told] = [record.getMessage() for record in caplog.records]
    assert "(code 4711: " in told
    assert "5.3" not in told  # this server is new enough


def test_a_refusal_is_not_told_if_nothing_can_be_inserted_either(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = Dataset("a" * 60, "b" * 250)  # longer than any name may be

    store.write(dataset, [document(dataset, {"n": 1})])

    assert "clustered" not in caplog.text


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"keyPattern": {"_id": 1}, "errmsg": ""}, True),
        ({"keyPattern": {"sku": 1}, "errmsg": "index: _id_ dup key"}, False),
        ({"errmsg": "E11000 duplicate key error collection: d.c index: _id_ dup key: { : 1 }"}, True),
        ({"errmsg": "E11000 duplicate key error collection: d.c dup key: { _id: ObjectId('6b') }"}, True),
        ({"errmsg": "E11000 duplicate key error collection: d.c index: sku_1 dup key: { : 1 }"}, False),
        ({"errmsg": "E11000 duplicate key error index: d.c.$_id_ dup key: { : 1 }"}, True),
        ({}, False),
    ],
)
def test_a_duplicate_id_is_told_from_another_unique_index_whatever_the_server(
    told: dict[str, Any], expected: bool
) -> None:
    assert is_of_id(told) is expected


def test_a_clustered_collection_tells_a_duplicate_id_from_another_unique_index(
    store: Store, client: MongoClient[Any], dataset: Dataset
) -> None:
    first = document(dataset, {"sku": 1})
    store.write(dataset, [first])
    client[dataset.database][dataset.collection].create_index("sku", unique=True)
    others = [document(dataset, {"sku": 2}, first.id), document(dataset, {"sku": 1}), first]

    verdicts = store.write(dataset, others)

    assert reasons(verdicts) == [Reason.DUPLICATE_ID, Reason.DUPLICATE_KEY, Outcome.PRESENT]


def test_a_server_of_before_5_3_stores_and_adopts_as_it_can(
    faulty: MongoClient[Any], unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = faulty.address or ("", 0)
    store = MongoStore(StoreSettings(url=f"mongodb://{host}:{port}"))
    dataset = Dataset(unique, "s-scj1-items")
    faulty.admin.command("setFeatureCompatibilityVersion", "5.0")

    try:
        verdicts = store.write(dataset, [document(dataset, {"n": 1}), document(dataset, {"n": 1})])
        report = adopt(store.replacement(dataset), lambda _: None)
    finally:
        faulty.admin.command("setFeatureCompatibilityVersion", "6.0")

    assert verdicts == [Outcome.STORED] * 2
    assert "'clusteredIndex' option is not supported" in caplog.text
    assert "It is a plain collection now" in caplog.text
    assert (report.adopted, report.merged, report.changed, report.clustered) == (2, 1, True, False)
    store.close()
