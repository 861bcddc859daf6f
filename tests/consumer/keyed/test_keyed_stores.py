"""Both stores against the model: any order, any number of times, two writers, and deaths between steps."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from estela_consumer.decoding.document import Document
from estela_consumer.stores import Outcome, Store, StoreSettings, open_store
from estela_consumer.stores.mongodb import changes as changes_module
from estela_consumer.stores.mongodb import keyed_chunk
from estela_wire.dataset import Dataset
from tests.consumer.keyed.model import Expected, Scraped, expected, found_in

MODES = ("keep", "replace", "update", "track")

fields = st.dictionaries(
    st.sampled_from(["price", "stock"]), st.sampled_from([1, 2, None, "x", [1], {"y": 1}])
)
prices = st.fixed_dictionaries({"price": st.sampled_from([1, 2])})  # so that they often come to be the same


def messages(fields: st.SearchStrategy[dict[str, Any]], skus: str) -> st.SearchStrategy[list[Scraped]]:
    """Messages of a few keys, each with a number of its own."""
    one = st.builds(Scraped, number=st.integers(0, 40), sku=st.sampled_from(skus), fields=fields)
    return st.lists(one, min_size=4, max_size=14, unique_by=lambda message: message.number)


class Killed(BaseException):
    """The writer's process is dead."""


@contextlib.contextmanager
def at_step(number: int, happening: Callable[[], None]) -> Iterator[None]:
    """Have something happen before the step of that number, of those that write to MongoDB."""
    steps = iter(range(1_000_000))

    def patched(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            if next(steps) == number:
                happening()
            return original(*arguments)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (keyed_chunk, "insert_all"),
            (keyed_chunk, "write_all"),
            (changes_module, "write_all"),
        ):
            patch.setattr(module, name, patched(getattr(module, name)))
        yield


def stored_in(store: Store, dataset: Dataset) -> Expected:
    beside = Dataset(dataset.database, f"{dataset.collection}_changes")
    return found_in(store.read(dataset), store.read(beside))


def write(store: Store, dataset: Dataset, documents: Sequence[Document]) -> None:
    """As a pipeline does: until all of them have a verdict that is final."""
    for _ in range(50):
        verdicts = store.write_keyed(dataset, documents)
        again = [one for one, verdict in zip(documents, verdicts, strict=True) if verdict is Outcome.RETRY]
        assert all(isinstance(verdict, Outcome) for verdict in verdicts), verdicts
        if not again:
            return
        documents = again
    raise AssertionError("never done")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(StoreSettings(url=f"sqlite:///{tmp_path_factory.mktemp('keyed')}/store.db"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(mongodb: str) -> Iterator[tuple[Store, str]]:
    store, database = open_store(StoreSettings(url=mongodb)), f"k{uuid.uuid4().hex[:12]}"
    yield store, database
    store.close()
    with MongoClient[Any](mongodb) as client:
        client.drop_database(database)


@given(mode=st.sampled_from(MODES), chosen=messages(fields, "abc"), data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_embedded_store_holds_what_the_model_says(
    embedded: Store, mode: str, chosen: list[Scraped], data: st.DataObject
) -> None:
    dataset = Dataset("keyed", uuid.uuid4().hex)
    order = data.draw(st.permutations(chosen + data.draw(st.lists(st.sampled_from(chosen), max_size=8))))
    size = data.draw(st.integers(1, len(order)))

    for at in range(0, len(order), size):
        write(embedded, dataset, [one.document(dataset, mode) for one in order[at : at + size]])

    assert stored_in(embedded, dataset) == expected(mode, chosen)


@pytest.mark.parametrize("mode", MODES)
@given(chosen=st.one_of(messages(fields, "ab"), messages(prices, "a")), data=st.data())
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_mongodb_holds_what_the_model_says_whoever_dies_between_two_steps(
    server: tuple[Store, str], mode: str, chosen: list[Scraped], data: st.DataObject
) -> None:
    """Before one step of each chunk another writer writes the next one, and the first may die there."""
    store, database = server
    dataset = Dataset(database, uuid.uuid4().hex)
    order = data.draw(st.permutations(chosen + data.draw(st.lists(st.sampled_from(chosen), max_size=4))))
    chunks = []
    while order:
        size = data.draw(st.integers(1, 3))
        chunks.append([one.document(dataset, mode) for one in order[:size]])
        order = order[size:]

    while chunks:
        chunk, dies = chunks.pop(0), data.draw(st.sampled_from([False, False, True]))

        def meanwhile(dies: bool = dies) -> None:
            if chunks:
                write(store, dataset, chunks.pop(0))
            if dies:
                raise Killed

        with at_step(data.draw(st.sampled_from([1, 2, 1, 2, 0, 3, 4])), meanwhile):
            try:
                write(store, dataset, chunk)
            except Killed:
                chunks.append(chunk)  # it was not committed, so it is delivered again

    assert stored_in(store, dataset) == expected(mode, chosen)


@pytest.mark.parametrize("mode", ["replace", "update", "track"])
def test_of_two_that_write_the_same_newest_message_at_once_none_loses_what_it_has_beside(
    server: tuple[Store, str], mode: str
) -> None:
    store, database = server
    dataset = Dataset(database, uuid.uuid4().hex)
    first, ours = Scraped(24, "a", {"price": 1}), Scraped(39, "a", {"stock": 5})
    other, newest = Scraped(3, "a", {"colour": "red"}), Scraped(40, "a", {"price": 2})

    def documents(*messages: Scraped) -> list[Document]:
        return [message.document(dataset, mode) for message in messages]

    write(store, dataset, documents(first))
    with at_step(0, lambda: write(store, dataset, documents(other, newest))):
        write(store, dataset, documents(ours, newest))

    assert stored_in(store, dataset) == expected(mode, [first, ours, other, newest])


def test_who_repairs_the_changes_of_one_that_died_notices_another_that_was_faster(
    server: tuple[Store, str],
) -> None:
    """Given a document whose changes are unwritten, as its writer died; two see to it at the same time."""
    store, database = server
    dataset = Dataset(database, uuid.uuid4().hex)
    first, late, second, third = (Scraped(number, "a", {"price": number}) for number in (1, 2, 3, 4))

    def one(message: Scraped) -> list[Document]:
        return [message.document(dataset, "track")]

    def die() -> None:
        raise Killed

    write(store, dataset, one(first))
    with at_step(2, die), pytest.raises(Killed):
        write(store, dataset, one(second))
    with at_step(1, lambda: write(store, dataset, one(late))):
        write(store, dataset, one(third))

    assert stored_in(store, dataset) == expected("track", [first, late, second, third])
