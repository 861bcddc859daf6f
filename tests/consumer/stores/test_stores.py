"""The stores' contract on each of ours, and what is MongoDB's alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from pymongo import MongoClient

from estela_consumer.errors import Reason, StoreUnreachable, UsageError
from estela_consumer.stores import Outcome, Store, StoreSettings, open_store
from estela_wire.dataset import Dataset
from tests.consumer.stores.contract import StoreContract, document, reasons


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

    def test_a_refused_key_that_is_a_date_beyond_pythons_costs_its_message_alone(
        self, store: Store, dataset: Dataset, client: MongoClient[Any]
    ) -> None:
        client[dataset.database][dataset.collection].create_index("at", unique=True)
        far = DatetimeMS(2**60)

        verdicts = store.write(dataset, [document(dataset, {"at": far}), document(dataset, {"at": far})])

        assert reasons(verdicts) == [Outcome.STORED, Reason.DUPLICATE_KEY]

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
