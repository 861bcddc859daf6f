"""Writing batches: documents into the store, the rest to the dead letters, until both are safe."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from estela_consumer.chunks import BadLetter, Batch
from estela_consumer.datasets import Dataset
from estela_consumer.dead_letters import DeadLetters, LettersUndelivered
from estela_consumer.documents import Document
from estela_consumer.errors import StoreUnreachable
from estela_consumer.patience import Patience
from estela_consumer.stores import Outcome, Store
from estela_queue_adapter.errors import QueueError


@dataclass(slots=True)
class Written:
    """What became of a batch."""

    stored: Counter[Dataset] = field(default_factory=Counter)
    present: Counter[Dataset] = field(default_factory=Counter)
    dead: Counter[Dataset | None] = field(default_factory=Counter)
    """By dataset; None for messages that have none."""


class BatchWriter:
    """Writes the parts of batches, waiting out outages as its patience says. Safe to share among threads."""

    def __init__(self, store: Store, dead_letters: DeadLetters, patience: Patience) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._patience = patience
        self._store_outage = patience.outage("The store is away")
        self._queue_outage = patience.outage("The queue takes no dead letters")

    def write(self, dataset: Dataset, documents: Sequence[Document], written: Written) -> list[BadLetter]:
        """Block until every document is stored, there already, or found to be one for the dead letters.

        Those are returned, the others counted. Raises StoreUnreachable only when patience ends.
        """
        letters: list[BadLetter] = []
        left = documents

        def attempt() -> None:
            nonlocal left
            verdicts = self._store.write(dataset, left)
            if verdicts.count(Outcome.STORED) == len(left):  # nearly always
                written.stored[dataset] += len(left)
                return
            again = []
            for document, verdict in zip(left, verdicts, strict=True):
                if verdict is Outcome.STORED:
                    written.stored[dataset] += 1
                elif verdict is Outcome.PRESENT:
                    written.present[dataset] += 1
                elif verdict is Outcome.RETRY:
                    again.append(document)
                else:
                    written.dead[dataset] += 1
                    letters.append(BadLetter(document.message, verdict))
            left = again
            if again:
                raise StoreUnreachable(f"{len(again)} documents of {dataset} could not be written yet")

        self._patience.insist(attempt, self._store_outage, StoreUnreachable)
        return letters

    def bury(self, letters: Sequence[BadLetter]) -> None:
        """Block until every letter is published. Raises QueueError only when patience ends."""
        left = letters

        def attempt() -> None:
            nonlocal left
            try:
                self._dead_letters.publish(left)
            except LettersUndelivered as error:
                left = error.letters
                raise

        self._patience.insist(attempt, self._queue_outage, QueueError)


class _Job:
    """A batch under way. Its chunks go to whichever threads are free; the last of them ends it."""

    def __init__(self, batch: Batch, writer: BatchWriter) -> None:
        self.future: Future[Written] = Future()
        self._batch = batch
        self._writer = writer
        self._written = Written()
        self._letters = list(batch.bad)
        if batch.bad:
            self._written.dead[None] = len(batch.bad)
        self._left = len(batch.chunks)
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def parts(self) -> list[Callable[[], None]]:
        """What there is to do, in any order and at the same time."""
        chunks = self._batch.chunks.items()
        return [partial(self._write, dataset, documents) for dataset, documents in chunks] or [self._end]

    def _write(self, dataset: Dataset, documents: Sequence[Document]) -> None:
        try:
            # Counted in one object by all: each under its own dataset.
            letters = self._writer.write(dataset, documents, self._written)
        except BaseException as error:  # noqa: BLE001  (it is raised again where the result is asked for)
            letters, self._error = [], error
        with self._lock:
            self._letters += letters
            self._left -= 1
            last = self._left == 0
        if last:
            self._end()

    def _end(self) -> None:
        try:
            if self._error is None and self._letters:
                self._writer.bury(self._letters)
        except BaseException as error:  # noqa: BLE001  (as above)
            self._error = error
        if self._error is None:
            self.future.set_result(self._written)
        else:
            self.future.set_exception(self._error)


class WriterThreads:
    """Threads that write batches. They are daemons: an outage never keeps the process from ending."""

    def __init__(self, writer: BatchWriter, count: int) -> None:
        self._writer = writer
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"estela-writer-{number}", daemon=True).start()

    def submit(self, batch: Batch) -> Future[Written]:
        """Have the batch written, after those that were submitted before; the future gives what became of it.

        Or raises StoreUnreachable or QueueError when patience ended: then submit it again, later.
        """
        job = _Job(batch, self._writer)
        for part in job.parts():
            self._waiting.put(part)
        return job.future

    def _work(self) -> None:
        while True:
            self._waiting.get()()
