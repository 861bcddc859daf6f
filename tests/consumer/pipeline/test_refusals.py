"""Errors of the store that nobody here knows: tried again for a while, then a dead letter, no sooner."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import cast

import bson
import pytest
from bson.objectid import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from estela_consumer.dead_letters.publisher import DeadLetterPublisher
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable, UnknownRefusal
from estela_consumer.pipeline.refusals import RETRY_SECONDS, RefusalHistory
from estela_consumer.pipeline.writers import BatchWriter, WriteResult
from estela_consumer.retry import RetryPolicy
from estela_consumer.stores import Outcome, Store, Verdict
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset

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
        self.writer = BatchWriter(store, cast(DeadLetterPublisher, None), retry)

    def write(self, count: int, dataset: Dataset = DATASET) -> tuple[WriteResult, list[int], float]:
        """One batch: what became of it, the numbers of its dead letters, and how long it took."""
        written, began = WriteResult(), self.clock.now
        documents = [document(number, dataset) for number in range(count)]
        letters = self.writer.write_chunk(dataset, documents, written, self.writer.retry_window())
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


class TestAnUnknownErrorOfManyDatasets:
    @staticmethod
    def names(count: int) -> list[Dataset]:
        return [Dataset("Other", str(number)) for number in range(count)]

    def test_is_waited_for_once_if_the_store_takes_the_other_documents(self) -> None:
        def answer(documents: Sequence[Document]) -> list[Verdict]:
            return [unknown() if one.dataset.database == "Other" else Outcome.STORED for one in documents]

        writing = Writing(answer)
        took, letters = [], 0

        for name in self.names(40):
            _, rejected, seconds = writing.write(1, name)
            took.append(seconds)
            letters += len(rejected)
            writing.clock.now += 0.01
            writing.write(10)

        assert letters == 40
        assert took[0] == pytest.approx(RETRY_SECONDS)
        assert max(took[1:]) < 2

    def test_in_one_batch_is_waited_for_by_all_of_them_together_and_then_no_more(self) -> None:
        writing = Writing(lambda documents: [unknown() for _ in documents])
        window, began = writing.writer.retry_window(), writing.clock.now

        for name in self.names(40):
            writing.writer.write_chunk(name, [document(0, name)], WriteResult(), window)

        assert writing.clock.now - began < RETRY_SECONDS + 40 * 0.2

    def test_is_an_outage_while_the_store_takes_nothing_and_each_has_its_time(self) -> None:
        writing = Writing(lambda documents: [unknown() for _ in documents])
        writing.write(10)

        took = [writing.write(1, name)[2] for name in self.names(8)]

        assert took == pytest.approx([RETRY_SECONDS] * 8)

    def test_has_its_time_again_once_it_has_passed(self) -> None:
        overloaded = True

        def answer(documents: Sequence[Document]) -> list[Verdict]:
            return [unknown() if overloaded else Outcome.STORED for _ in documents]

        writing = Writing(answer)
        writing.write(1)  # an overload of more than a minute
        overloaded = False
        writing.write(10)
        overloaded = True  # and the next one

        assert writing.write(1)[2] == pytest.approx(RETRY_SECONDS)

    def test_that_passes_while_it_is_held_to_be_permanent_has_its_time_again(self) -> None:
        refusals = 0

        def answer(documents: Sequence[Document]) -> list[Verdict]:
            nonlocal refusals
            if documents[0].dataset == DATASET:
                return refusing({0})(documents)
            refusals += 1
            return [unknown() if refusals in (1, 2) else Outcome.STORED for _ in documents]

        writing = Writing(answer)
        writing.write(2)  # permanent, as the dataset took the other one
        assert writing.write(2)[2] < 2
        _, letters, seconds = writing.write(1, Dataset("other", "c"))  # two tries fail, the third does not

        assert letters == []
        assert seconds == pytest.approx(0.3)
        assert writing.write(2)[2] == pytest.approx(RETRY_SECONDS)

    def test_without_a_code_tells_only_of_its_dataset(self) -> None:
        def answer(documents: Sequence[Document]) -> list[Verdict]:
            no_code = UnknownRefusal("no", 0, alone=True)
            return [no_code if number == 0 else Outcome.STORED for number in numbers(documents)]

        writing = Writing(answer)

        took = [writing.write(2, name)[2] for name in (DATASET, DATASET, Dataset("other", "c"))]

        assert took == [
            pytest.approx(RETRY_SECONDS),
            pytest.approx(1.0, abs=0.5),
            pytest.approx(RETRY_SECONDS),
        ]


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
            error = UnknownRefusal("no", 2 * number + accepted + 1, alone=True)
            refusals.add_retried_in_vain(DATASET, error, since=-60.0, others_accepted=accepted)

    assert len(refusals._permanent) <= 1_000
    assert len(refusals._in_vain) <= 1_000
