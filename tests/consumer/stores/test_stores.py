"""One suite for every store, and what is MongoDB's alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.objectid import ObjectId
from pymongo import MongoClient

from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable, UsageError
from estela_consumer.stores import Outcome, Store, StoreSettings, Verdict, open_store
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset


def document(dataset: Dataset, payload: dict[str, Any], identity: ObjectId | str | None = None) -> Document:
    encoded = bson.encode({"_id": identity or ObjectId(), **payload})
    return Document(dataset, encoded, Message("t", 0, 0, 0.0, None, b"", ()))


def reasons(verdicts: list[Verdict]) -> list[Outcome | Reason | StoreUnreachable]:
    return [verdict.reason if isinstance(verdict, BadMessage) else verdict for verdict in verdicts]


class StoreContract:
    """What every store promises."""

    @pytest.fixture
    def dataset(self, unique: str) -> Dataset:
        return Dataset(unique, "spider-1-items")

    def test_documents_are_stored_and_read_back_in_the_order_of_their_ids(
        self, store: Store, dataset: Dataset
    ) -> None:
        documents = [document(dataset, {"n": n, "x": [{"y": None}, 1.5, "ü"]}) for n in range(1200)]

        verdicts = store.write(dataset, list(reversed(documents)))

        assert verdicts == [Outcome.STORED] * 1200
        assert [stored["n"] for stored in store.read(dataset)] == list(range(1200))
        assert [stored["n"] for stored in store.read(dataset, limit=3)] == [0, 1, 2]
        assert list(store.read(dataset, limit=0)) == []
        assert (dataset, 1200) in list(store.datasets())

    def test_written_twice_is_written_once(self, store: Store, dataset: Dataset) -> None:
        documents = [document(dataset, {"n": n}) for n in range(5)]
        store.write(dataset, documents[:3])

        verdicts = store.write(dataset, documents)

        assert verdicts == [Outcome.PRESENT] * 3 + [Outcome.STORED] * 2
        assert len(list(store.read(dataset))) == 5

    def test_twice_in_one_chunk_is_once_too(self, store: Store, dataset: Dataset) -> None:
        same = document(dataset, {"n": 1})

        assert store.write(dataset, [same, same]) == [Outcome.STORED, Outcome.PRESENT]

    def test_the_same_id_with_another_content_is_a_bad_message(self, store: Store, dataset: Dataset) -> None:
        first = document(dataset, {"n": 1})
        store.write(dataset, [first])

        verdicts = store.write(dataset, [document(dataset, {"n": 2}, first.id), document(dataset, {"n": 3})])

        assert reasons(verdicts) == [Reason.DUPLICATE_ID, Outcome.STORED]
        assert next(store.read(dataset))["n"] == 1

    def test_the_same_content_in_another_order_of_keys_is_the_same(
        self, store: Store, dataset: Dataset
    ) -> None:
        first = document(dataset, {"a": 1, "b": {"c": float("nan"), "d": 2}})
        store.write(dataset, [first])

        again = document(dataset, {"b": {"d": 2, "c": float("nan")}, "a": 1}, first.id)

        assert store.write(dataset, [again]) == [Outcome.PRESENT]

    def test_an_id_may_be_a_string(self, store: Store, dataset: Dataset) -> None:
        stats = document(dataset, {"n": 1}, "spider-1-job_stats")

        assert store.write(dataset, [stats]) == [Outcome.STORED]
        assert store.write(dataset, [stats]) == [Outcome.PRESENT]

    def test_stats_that_somebody_has_added_to_are_there_already_and_changed_ones_are_not(
        self, store: Store, dataset: Dataset
    ) -> None:
        payload = {"item_scraped_count": 3, "nested": {"a": [1.5, None]}}

        def stats(topic: str, payload: dict[str, Any]) -> Document:
            made = document(dataset, payload, "s-1-job_stats")
            return made._replace(message=made.message._replace(topic=topic))

        store.write(dataset, [stats("job_stats", {"coverage": {"total_items": 3}, "more": 1, **payload})])
        changed = [{**payload, "item_scraped_count": 4}, {**payload, "nested": {}}, {**payload, "new": 1}]

        again = store.write(dataset, [stats("job_stats", payload)])
        of_another_topic = store.write(dataset, [stats("items", payload)])
        of_others = [reasons(store.write(dataset, [stats("job_stats", other)])) for other in changed]

        assert again == [Outcome.PRESENT]
        assert reasons(of_another_topic) == [Reason.DUPLICATE_ID]
        assert of_others == [[Reason.DUPLICATE_ID]] * 3

    def test_datasets_do_not_mix(self, store: Store, dataset: Dataset) -> None:
        other = Dataset(dataset.database, "other")
        one = document(dataset, {"n": 1})

        store.write(dataset, [one])
        store.write(other, [document(other, {"n": 2}, one.id)])

        assert [stored["n"] for stored in store.read(other)] == [2]

    def test_a_dataset_that_is_not_there_is_empty(self, store: Store, dataset: Dataset) -> None:
        assert list(store.read(dataset)) == []

    def test_the_ids_from_one_to_another_are_told_in_their_order(
        self, store: Store, dataset: Dataset
    ) -> None:
        documents = [document(dataset, {"n": n, "large": "x" * 2_000}) for n in range(1_300)]
        text = document(dataset, {"n": -1}, "spider-1-job_stats")
        store.write(dataset, [*reversed(documents), text])
        ids = [one.id for one in documents]

        assert list(store.ids(dataset, ids[0], ids[-1])) == ids
        assert list(store.ids(dataset, ids[3], ids[1005])) == ids[3:1006]
        assert list(store.ids(dataset, ids[7], ids[7])) == [ids[7]]
        assert list(store.ids(dataset, ObjectId(), ObjectId())) == []
        assert list(store.ids(dataset, text.id, text.id)) == [text.id]
        assert list(store.ids(dataset, "another", "another")) == []
        assert list(store.ids(Dataset(dataset.database, "other"), ids[0], ids[-1])) == []

    def test_it_describes_itself_and_answers(self, store: Store) -> None:
        store.check()
        assert store.describe()


def test_an_option_that_only_other_drivers_know_is_let_pass() -> None:
    store = open_store(StoreSettings(url="mongodb://host/?replicaSet=rs0&noSuchOption=1"))

    assert store.describe() == "MongoDB at host"


class TestEmbedded(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = open_store(StoreSettings(url=f"sqlite:///{tmp_path}/folder/store.db"))
        yield store
        store.close()

    def test_closing_and_opening_keeps_everything(self, tmp_path: Path, dataset: Dataset) -> None:
        settings = StoreSettings(url=f"sqlite:///{tmp_path}/store.db")
        store = open_store(settings)
        store.write(dataset, [document(dataset, {"n": 1})])
        store.close()

        assert [stored["n"] for stored in open_store(settings).read(dataset)] == [1]

    def test_a_file_that_is_no_store_is_unreachable_and_left_alone(
        self, tmp_path: Path, dataset: Dataset
    ) -> None:
        file = tmp_path / "store.db"
        file.write_text("somebody's notes, long enough to be taken for a header of a file")

        with pytest.raises(StoreUnreachable, match=r"store\.db"):
            open_store(StoreSettings(url=f"sqlite:///{file}")).write(dataset, [document(dataset, {})])

        assert file.read_text().startswith("somebody's notes")


class TestMongoDB(StoreContract):
    @pytest.fixture
    def store(self, mongodb: str, unique: str, client: MongoClient[Any]) -> Iterator[Store]:
        store = open_store(StoreSettings(url=mongodb))
        yield store
        store.close()
        client.drop_database(unique)

    @pytest.fixture
    def client(self, mongodb: str) -> Iterator[MongoClient[Any]]:
        with MongoClient[Any](mongodb) as client:
            yield client

    def test_each_document_gets_its_own_verdict(
        self, store: Store, dataset: Dataset, client: MongoClient[Any]
    ) -> None:
        collection = client[dataset.database].create_collection(
            dataset.collection, validator={"price": {"$not": {"$lt": 0}}}
        )
        collection.create_index("sku", unique=True, sparse=True)
        store.write(dataset, [document(dataset, {"sku": 1})])
        deep: dict[str, Any] = {}
        for _ in range(190):
            deep = {"a": deep}

        verdicts = store.write(
            dataset,
            [
                document(dataset, {"sku": 2}),
                document(dataset, {"sku": 1}),
                document(dataset, {"price": -1}),
                document(dataset, deep),
                document(dataset, {"sku": 3}),
            ],
        )

        assert reasons(verdicts) == [
            Outcome.STORED, Reason.DUPLICATE_KEY, Reason.INVALID, Reason.BAD_VALUE, Outcome.STORED,
        ]  # fmt: skip

    def test_what_is_there_is_found_though_the_url_prefers_secondaries(
        self, mongodb: str, store: Store, dataset: Dataset
    ) -> None:
        one = document(dataset, {"n": 1})
        store.write(dataset, [one])
        other = open_store(StoreSettings(url=f"{mongodb}&readPreference=secondary"))  # there is none

        assert other.write(dataset, [one]) == [Outcome.PRESENT]
        other.close()

    def test_a_document_that_spoils_the_whole_command_is_found(self, store: Store, dataset: Dataset) -> None:
        deep: dict[str, Any] = {}
        for _ in range(400):  # deeper than the server parses at all
            deep = {"a": deep}
        documents = [document(dataset, {"n": n}) for n in range(20)]
        documents[13] = document(dataset, deep)

        verdicts = store.write(dataset, documents)

        assert reasons(verdicts).count(Outcome.STORED) == 19
        assert reasons(verdicts)[13] is Reason.BAD_VALUE

    def test_a_server_that_is_not_there_is_unreachable_and_the_password_untold(
        self, dataset: Dataset
    ) -> None:
        url = "mongodb://user:secret@127.0.0.1:1/?serverSelectionTimeoutMS=100&authSource=a@b"
        store = open_store(StoreSettings(url=url))

        with pytest.raises(StoreUnreachable) as caught:
            store.write(dataset, [document(dataset, {})])

        assert store.describe() == "MongoDB at 127.0.0.1:1"
        assert "127.0.0.1:1" in str(caught.value)
        assert "secret" not in str(caught.value)
        store.close()

    def test_a_failed_login_is_waited_out(self, mongodb: str, dataset: Dataset) -> None:
        hosts = mongodb.partition("://")[2].rpartition("@")[2]
        store = open_store(StoreSettings(url=f"mongodb://nobody:secret@{hosts}"))

        with pytest.raises(StoreUnreachable, match="Authentication") as caught:
            store.write(dataset, [document(dataset, {})])

        assert "secret" not in str(caught.value)
        store.close()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "postgres://x",
        "sqlite://relative",
        "sqlite:///",
        "mongodb://",
        "mongodb://h:port",
        "mongodb://u:p@w@h",
    ],
)
def test_a_wrong_url_is_a_usage_error_that_says_which_setting_and_no_secret(url: str) -> None:
    with pytest.raises(UsageError, match="store's URL") as caught:
        open_store(StoreSettings(url=url))

    assert "p@w" not in str(caught.value)


def test_settings_do_not_show_the_url() -> None:
    assert "secret" not in repr(StoreSettings(url="mongodb://user:secret@host"))
