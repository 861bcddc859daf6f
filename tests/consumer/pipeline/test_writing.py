"""Several threads write one batch. The store is a double here: a real one cannot be told when to answer."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import pytest

from devservers.ports import wait_until
from estela_consumer.dead_letters.publisher import DeadLetterPublisher
from estela_consumer.dead_letters.rejected_message import RejectedMessage
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.writer_threads import WriterThreads
from estela_consumer.pipeline.writers import BatchWriter
from estela_consumer.retry import RetryPolicy
from estela_consumer.stores import Outcome, Store, Verdict
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset

REFUSED = BadMessage(Reason.INVALID, "no")


class ScriptedStore:
    """Answers as it is told for each collection."""

    def __init__(self, answer: Callable[[str], Verdict]) -> None:
        self._answer = answer

    def write(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        return [self._answer(dataset.collection) for _ in documents]


class NotedLetters:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[list[RejectedMessage]] = []

    def publish(self, letters: Sequence[RejectedMessage]) -> None:
        self.published.append(list(letters))


def batch_of(*collections: str, bad: int = 0) -> Batch:
    batch = Batch(ChunkLimits(), 0.0)
    for offset, collection in enumerate(collections):
        message = Message("t", 0, offset, 0.0, None, b"{}", ())
        batch.add(message, Document(Dataset("d", collection), b"", message))
    for offset in range(bad):
        batch.add(Message("t", 1, offset, 0.0, None, b"", ()), REFUSED)
    return batch


class Start(Protocol):
    def __call__(
        self, answer: Callable[[str], Verdict], letters: NotedLetters, count: int = 3
    ) -> WriterThreads: ...


@pytest.fixture
def threads() -> Iterator[Start]:
    """Starts writer threads on a scripted store, and ends them after the test."""
    with contextlib.ExitStack() as started:

        def start(answer: Callable[[str], Verdict], letters: NotedLetters, count: int = 3) -> WriterThreads:
            store = cast(Store, ScriptedStore(answer))
            writer = BatchWriter(store, cast(DeadLetterPublisher, letters), RetryPolicy(max_wait=0.0))
            writers = WriterThreads(writer, count)
            writers.start()
            started.callback(writers.close, timeout=10)
            return writers

        yield start


def test_the_chunks_of_a_batch_are_written_at_the_same_time(threads: Start) -> None:
    together = threading.Barrier(3)

    def answer(_: str) -> Verdict:
        together.wait(timeout=10)
        return Outcome.STORED

    written = threads(answer, NotedLetters()).submit(batch_of("a", "b", "c")).result(20)

    assert written.stored == {Dataset("d", name): 1 for name in "abc"}


def test_as_many_as_there_are_threads_and_no_more(threads: Start) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def answer(_: str) -> Verdict:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        threading.Event().wait(0.005)
        with lock:
            at_once -= 1
        return Outcome.STORED

    writers = threads(answer, NotedLetters(), 2)
    for future in [writers.submit(batch_of(*"abcdefgh")) for _ in range(3)]:
        future.result(20)

    assert most == 2


def test_the_letters_of_all_chunks_are_published_together_once_the_rest_is_stored(threads: Start) -> None:
    letters = NotedLetters()

    def answer(collection: str) -> Verdict:
        return REFUSED if collection in "bd" else Outcome.PRESENT if collection == "c" else Outcome.STORED

    written = threads(answer, letters).submit(batch_of(*"abcd", bad=2)).result(20)

    assert [len(published) for published in letters.published] == [4]
    assert written.stored.total() == written.present.total() == 1
    assert written.dead_lettered == {None: 2, Dataset("d", "b"): 1, Dataset("d", "d"): 1}


@pytest.mark.parametrize(("collections", "bad"), [("", 0), ("", 1)])
def test_a_batch_without_documents_ends_too(threads: Start, collections: str, bad: int) -> None:
    letters = NotedLetters()

    written = threads(lambda _: Outcome.STORED, letters).submit(batch_of(*collections, bad=bad)).result(20)

    assert written.dead_lettered.total() == len(letters.published) == bad


@pytest.mark.parametrize("broken", "abc")
def test_a_chunk_that_fails_fails_its_batch_and_no_letter_of_it_is_published(
    threads: Start, broken: str
) -> None:
    letters = NotedLetters()

    def answer(collection: str) -> Any:
        if collection == broken:
            raise StoreUnreachable("no answer")
        return REFUSED

    writers = threads(answer, letters)
    with pytest.raises(StoreUnreachable):
        writers.submit(batch_of("a", "b", "c")).result(20)

    assert letters.published == []
    assert writers.submit(batch_of("z")).result(20).dead_lettered.total() == 1  # and the threads go on


def test_a_thread_that_waits_keeps_nothing_of_what_it_has_written(threads: Start) -> None:
    writers, batch = threads(lambda _: Outcome.STORED, NotedLetters()), batch_of("a", "b", "c")
    kept = weakref.ref(batch)

    writers.submit(batch).result(20)
    del batch

    wait_until(lambda: kept() is None, "that nobody has the batch", 20)


def _writers_alive(before: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread not in before]


def test_after_close_no_thread_is_left_and_what_was_not_begun_is_cancelled() -> None:
    begun, goes_on, before = threading.Event(), threading.Event(), set(threading.enumerate())

    def answer(_: str) -> Verdict:
        begun.set()
        goes_on.wait(20)
        return Outcome.STORED

    store = cast(Store, ScriptedStore(answer))
    writers = WriterThreads(BatchWriter(store, cast(DeadLetterPublisher, NotedLetters()), RetryPolicy()), 1)
    writers.start()
    writing, waiting = writers.submit(batch_of("a")), writers.submit(batch_of("b", "c"))
    assert begun.wait(20)
    writers.close(timeout=0.0)  # a thread that waits for its server is left behind

    assert _writers_alive(before) == ["estela-writer-0"]
    assert waiting.cancelled()
    assert not writing.done()

    goes_on.set()
    writers.close(timeout=20)

    assert writing.result(0).stored.total() == 1
    assert _writers_alive(before) == []


def test_an_outage_does_not_keep_threads_from_their_end_once_the_retries_are_cancelled() -> None:
    before, retry = set(threading.enumerate()), RetryPolicy()
    failed = threading.Event()

    def answer(_: str) -> Verdict:
        failed.set()
        return StoreUnreachable("no")

    store = cast(Store, ScriptedStore(answer))
    writers = WriterThreads(BatchWriter(store, cast(DeadLetterPublisher, NotedLetters()), retry), 2)
    writers.start()
    future = writers.submit(batch_of("a"))
    assert failed.wait(20)

    retry.cancelled.set()
    writers.close(timeout=20)

    assert isinstance(future.exception(0), StoreUnreachable)
    assert _writers_alive(before) == []


def test_threads_that_were_never_started_are_closed_too() -> None:
    writer = BatchWriter(cast(Store, None), cast(DeadLetterPublisher, None), RetryPolicy())

    WriterThreads(writer, 2).close(timeout=0.0)
