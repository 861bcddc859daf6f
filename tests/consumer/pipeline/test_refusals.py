"""Errors of the store that nobody here knows: tried again for a while, then a dead letter, no sooner."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import bson
import pytest
from bson.objectid import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from devservers.mongodb import FAIL_POINTS, MongoStandalone
from estela_consumer.dead_letters.publisher import DeadLetterPublisher
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable, UnknownRefusal
from estela_consumer.pipeline.refusals import RETRY_SECONDS, RefusalHistory
from estela_consumer.pipeline.writers import BatchWriter, WriteResult
from estela_consumer.retry import RetryPolicy
from estela_consumer.stores import Outcome, Store, StoreSettings, Verdict, open_store
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from tests.conftest import or_skip

DATASET = Dataset("d", "c")


class Clock(threading.Event):
    """Time that passes only while somebody waits for it to be set."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


def document(number: int, dataset: Dataset = DATASET) -> Document:
    message = Message("t", 0, number, 0.0, None, b"{}", ())
    return Document(dataset, bson.encode({"_id": ObjectId(), "n": number}), message)


def numbers(documents: Sequence[Document]) -> list[int]:
    return [document.message.offset for document in documents]


class ScriptedStore:
    """Answers each write as it is told."""

    def __init__(self, answer: Callable[[Sequence[Document]], list[Verdict]]) -> None:
        self._answer = answer

    def write(self, _: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        return self._answer(documents)


class Writing:
    """A BatchWriter on a scripted store and clock."""

    def __init__(self, answer: Callable[[Sequence[Document]], list[Verdict]]) -> None:
        self.clock = Clock()
        retry = RetryPolicy(cancelled=self.clock, clock=self.clock, random=lambda: 1.0)
        store = cast(Store, ScriptedStore(answer))
        self._writer = BatchWriter(store, cast(DeadLetterPublisher, None), retry)

    def write(self, count: int) -> tuple[WriteResult, list[int], float]:
        """One batch: what became of it, the numbers of its dead letters, and how long it took."""
        written, began = WriteResult(), self.clock.now
        letters = self._writer.write_chunk(
            DATASET, [document(number) for number in range(count)], written, self._writer.retry_window()
        )
        return written, [letter.message.offset for letter in letters], self.clock.now - began


def unknown(*, alone: bool = True) -> UnknownRefusal:
    return UnknownRefusal("MongoDB refuses the document (code 4711): no", 4711, alone=alone)


def refusing(bad: set[int]) -> Callable[[Sequence[Document]], list[Verdict]]:
    """Refuses some documents for ever, each by itself."""
    return lambda documents: [unknown() if n in bad else Outcome.STORED for n in numbers(documents)]


class TestAnUnknownError:
    def test_is_tried_again_for_its_while_and_its_neighbours_are_stored_at_once(self) -> None:
        seen: list[list[int]] = []

        def answer(documents: Sequence[Document]) -> list[Verdict]:
            seen.append(numbers(documents))
            return refusing({2})(documents)

        written, letters, seconds = Writing(answer).write(4)

        assert seen[:2] == [[0, 1, 2, 3], [2]]
        assert (written.stored.total(), letters) == (3, [2])
        assert seconds == pytest.approx(RETRY_SECONDS)
        assert 5 < len(seen) < 20

    def test_is_said_in_the_dead_letter_with_what_was_tried(self) -> None:
        clock = Clock()
        retry = RetryPolicy(cancelled=clock, clock=clock, random=lambda: 1.0)
        writer = BatchWriter(
            cast(Store, ScriptedStore(refusing({0}))), cast(DeadLetterPublisher, None), retry
        )

        [letter] = writer.write_chunk(DATASET, [document(0)], WriteResult(), writer.retry_window())

        assert letter.error.reason is Reason.REFUSED
        assert str(letter.error).startswith("MongoDB refuses the document (code 4711): no; tried ")
        assert str(letter.error).endswith(" times in 60 s")

    def test_that_is_there_to_stay_holds_up_one_batch_and_not_each(self) -> None:
        writing = Writing(refusing({0}))

        took = [writing.write(2)[2] for _ in range(5)]

        assert took[0] == pytest.approx(RETRY_SECONDS)
        assert sum(took[1:]) < 10

    def test_of_a_dataset_that_takes_nothing_at_all_may_pass_within_minutes(self) -> None:
        writing = Writing(refusing({0, 1}))

        took = [writing.write(2)[2] for _ in range(12)]

        assert took[:8] == pytest.approx([RETRY_SECONDS] * 8)
        assert took[-1] < 2  # after ten minutes it is believed

    def test_of_a_whole_command_is_one_documents_and_it_is_found(self) -> None:
        def answer(documents: Sequence[Document]) -> list[Verdict]:
            if 37 in numbers(documents):
                return [unknown(alone=len(documents) == 1) for _ in documents]
            return [Outcome.STORED] * len(documents)

        written, letters, seconds = Writing(answer).write(100)

        assert (written.stored.total(), letters) == (99, [37])
        assert seconds == pytest.approx(RETRY_SECONDS)

    def test_that_passes_costs_no_message(self) -> None:
        writing: Writing

        def answer(documents: Sequence[Document]) -> list[Verdict]:
            if writing.clock.now < 45:
                return [unknown(alone=False) for _ in documents]
            return [Outcome.STORED] * len(documents)

        writing = Writing(answer)
        written, letters, seconds = writing.write(10)

        assert (written.stored.total(), letters) == (10, [])
        assert seconds < RETRY_SECONDS

    @pytest.mark.processes
    def test_beside_an_outage_leaves_the_outage_its_time(self) -> None:
        writing: Writing

        def answer(documents: Sequence[Document]) -> list[Verdict]:
            if 0 in numbers(documents):
                unavailable: Verdict = StoreUnreachable("disk full")
                return [
                    unavailable if writing.clock.now < 500 else Outcome.STORED,
                    *refusing({1})(documents[1:]),
                ]
            return refusing({1})(documents)

        writing = Writing(answer)
        written, letters, _ = writing.write(3)

        assert (written.stored.total(), letters) == (2, [1])


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 40))
def test_whatever_a_store_answers_each_document_is_stored_or_a_letter_once(seed: int, count: int) -> None:
    chance = random.Random(seed)
    poison = {number for number in range(count) if chance.random() < 0.1}
    final = {number for number in range(count) if chance.random() < 0.1} - poison
    stored: list[int] = []

    def answer(documents: Sequence[Document]) -> list[Verdict]:
        if chance.random() < 0.2:
            raise StoreUnreachable("no answer")
        if chance.random() < 0.3 and (poison & set(numbers(documents)) or writing.clock.now < 30):
            return [unknown(alone=len(documents) == 1) for _ in documents]
        return [one(number) for number in numbers(documents)]

    def one(number: int) -> Verdict:
        if number in poison:
            return unknown()
        if number in final:
            return BadMessage(Reason.INVALID, "no")
        if chance.random() < 0.2:
            return Outcome.RETRY
        stored.append(number)
        return Outcome.STORED

    writing = Writing(answer)
    with pytest.MonkeyPatch.context() as patch:  # it looks through all that the tests before left behind
        patch.setattr("estela_consumer.retry.collect_failed_connections", lambda **_: None)
        written, letters, _ = writing.write(count)

    assert len(stored) == len(set(stored)) == written.stored.total()
    assert sorted(letters + stored) == list(range(count))
    assert set(letters) == poison | final
    assert written.dead_lettered.total() == len(letters)


def test_what_is_remembered_has_a_bound() -> None:
    refusals = RefusalHistory(lambda: 0.0)

    for number in range(5_000):
        for accepted in (True, False):
            refusals.add_retried_in_vain(
                Dataset("d", f"{number}{accepted}"), unknown(), others_accepted=accepted
            )

    assert len(refusals._permanent) <= 1_000
    assert len(refusals._all_refused) <= 1_000


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
