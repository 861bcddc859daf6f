"""What a real MongoDB refuses: what may pass costs no message, and what cannot is a dead letter at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import bson
import pytest
from bson.objectid import ObjectId

from devservers.mongodb import FAIL_POINTS, MongoStandalone
from estela_consumer.dead_letters.publisher import DeadLetterPublisher
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, UnknownRefusal
from estela_consumer.pipeline.refusals import RefusalHistory
from estela_consumer.pipeline.writers import BatchWriter, WriteResult
from estela_consumer.retry import RetryPolicy
from estela_consumer.stores import Outcome, Store, StoreSettings, open_store
from estela_wire.dataset import Dataset
from tests.conftest import or_skip
from tests.consumer.pipeline.test_refusals import document


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoStandalone]:
    """A mongod whose answers can be made errors."""
    with or_skip("mongod"):
        server = MongoStandalone(tmp_path_factory.mktemp("mongod"), *FAIL_POINTS)
        server.start()
    yield server
    server.kill()


@pytest.mark.servers
class TestOnMongoDB:
    @pytest.fixture
    def store(self, failing: MongoStandalone) -> Iterator[Store]:
        store = open_store(StoreSettings(url=f"mongodb://{failing.address}/?heartbeatFrequencyMS=500"))
        yield store
        store.close()

    @pytest.mark.parametrize("code", [91, 215, 264, 16500, 314, 8, 96, 46, 1, 4711])
    def test_what_the_server_says_once_costs_no_message(
        self, store: Store, failing: MongoStandalone, code: int, unique: str
    ) -> None:
        self._fail(failing, {"times": 1}, errorCode=code)

        written, letters = self._write(store, Dataset(unique, "c"), 3)

        assert (written.stored.total(), letters) == (3, [])
        assert len(list(store.read(Dataset(unique, "c")))) == 3

    def test_what_it_says_for_ever_is_a_dead_letter_with_its_code(
        self, store: Store, failing: MongoStandalone, unique: str
    ) -> None:
        self._fail(failing, "alwaysOn", errorCode=8)

        written, letters = self._write(store, Dataset(unique, "c"), 3)
        self._fail(failing, "off")

        assert written.stored.total() == 0
        assert len(letters) == 3
        assert all("code 8" in text for text in letters)

    def test_a_view_takes_no_documents_and_is_not_waited_for(
        self, store: Store, failing: MongoStandalone, unique: str
    ) -> None:
        with failing.client() as client:
            client[unique].create_collection("view", viewOn="c", pipeline=[])

        _, letters = self._write(store, Dataset(unique, "view"), 3, retry_seconds=600.0)

        assert len(letters) == 3
        assert "code 166" in letters[0]

    def test_a_database_whose_name_differs_in_case_alone_is_a_bad_name_at_once(
        self, store: Store, unique: str
    ) -> None:
        self._write(store, Dataset(unique, "c"), 1)

        writer = BatchWriter(store, cast(DeadLetterPublisher, None), RetryPolicy())
        dataset = Dataset(unique.upper(), "c")
        letters = writer.write_chunk(
            dataset, [document(n, dataset) for n in range(3)], WriteResult(), writer.retry_window()
        )

        assert [letter.error.reason for letter in letters] == [Reason.BAD_NAME] * 3
        assert "code 13297" in str(letters[0].error)

    @pytest.mark.parametrize(
        ("index", "content"),
        [
            ([("at", "2d")], {"at": [1000, 2000]}),
            ([("at", "2d")], {"at": ["x", "y"]}),
            ([("at", "2d")], {"at": [1]}),
            ([("at", "2d")], {"at": [{"x": "a", "y": "b"}]}),
            ([("at", "2dsphere")], {"at": "here"}),
            ([("at", "hashed")], {"at": [1, 2]}),
            ([("at", "text")], {"at": "x", "language": "klingon"}),
            ([("at", "text")], {"at": "x", "language": 3}),
            ([("at.0.b", 1)], {"at": [{"0": {"b": 1}, "b": 2}]}),
            ([("at", 1), ("other", 1)], {"at": [1], "other": [1]}),
        ],
    )
    def test_what_an_index_cannot_take_is_a_dead_letter_at_once_and_its_neighbours_are_stored(
        self, store: Store, failing: MongoStandalone, unique: str, index: list[Any], content: dict[str, Any]
    ) -> None:
        dataset = Dataset(unique, "c")
        with failing.client() as client:
            client[unique]["c"].create_index(index)
        bad = Document(dataset, bson.encode({"_id": ObjectId(), **content}), document(1).message)

        verdicts = store.write(dataset, [document(0, dataset), bad, document(2, dataset)])

        assert verdicts[0] is verdicts[2] is Outcome.STORED
        assert isinstance(verdicts[1], BadMessage)
        assert not isinstance(verdicts[1], UnknownRefusal)

    def _fail(self, server: MongoStandalone, mode: Any, **data: Any) -> None:
        with server.client() as client:
            client.admin.command({
                "configureFailPoint": "failCommand",
                "mode": mode,
                "data": {"failCommands": ["insert"], "appName": "estela-consume", **data},
            })  # fmt: skip

    def _write(
        self, store: Store, dataset: Dataset, count: int, retry_seconds: float = 1.0
    ) -> tuple[WriteResult, list[str]]:
        retry = RetryPolicy()
        writer = BatchWriter(
            store, cast(DeadLetterPublisher, None), retry, RefusalHistory(retry.clock, retry_seconds)
        )
        written = WriteResult()
        documents = [document(number, dataset) for number in range(count)]
        letters = writer.write_chunk(dataset, documents, written, writer.retry_window())
        return written, [str(letter.error) for letter in letters]
