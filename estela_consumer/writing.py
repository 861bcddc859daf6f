"""Writing one batch: documents into the store, the rest to the dead letters, until both are safe."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

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
    """Writes batches, waiting out outages as its patience says. Safe to share among threads."""

    def __init__(self, store: Store, dead_letters: DeadLetters, patience: Patience) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._patience = patience
        self._store_outage = patience.outage("The store is away")
        self._queue_outage = patience.outage("The queue takes no dead letters")

    def write(self, batch: Batch) -> Written:
        """Block until every message of the batch is safe.

        Raises StoreUnreachable or QueueError only when patience ends: then write it again, later.
        """
        written = Written()
        letters = list(batch.bad)
        written.dead.update({None: len(letters)} if letters else {})
        for dataset, documents in batch.chunks.items():
            letters += self._write_chunk(dataset, documents, written)
        if letters:
            self._bury(letters)
        return written

    def _write_chunk(
        self, dataset: Dataset, documents: Sequence[Document], written: Written
    ) -> list[BadLetter]:
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

    def _bury(self, letters: Sequence[BadLetter]) -> None:
        left = letters

        def attempt() -> None:
            nonlocal left
            try:
                self._dead_letters.publish(left)
            except LettersUndelivered as error:
                left = error.letters
                raise

        self._patience.insist(attempt, self._queue_outage, QueueError)


class WriterThreads:
    """Threads that write batches. They are daemons: an outage never keeps the process from ending."""

    def __init__(self, writer: BatchWriter, count: int) -> None:
        self.count = count
        self._writer = writer
        self._waiting: queue.SimpleQueue[tuple[Batch, Future[Written]]] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"estela-writer-{number}", daemon=True).start()

    def submit(self, batch: Batch) -> Future[Written]:
        """Have the batch written; the future gives what became of it, or raises as `BatchWriter.write`."""
        future: Future[Written] = Future()
        self._waiting.put((batch, future))
        return future

    def _work(self) -> None:
        while True:
            batch, future = self._waiting.get()
            try:
                future.set_result(self._writer.write(batch))
            except BaseException as error:  # noqa: BLE001  (it is raised again where the result is asked for)
                future.set_exception(error)
