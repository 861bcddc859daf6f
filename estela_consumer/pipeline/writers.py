"""Writing batches: documents into the store, the rest to the dead letters, until both are safe."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from estela_consumer.dead_letters.publisher import DeadLetters, LettersUndelivered
from estela_consumer.dead_letters.rejected_message import RejectedMessage
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, StoreUnreachable, UnknownRefusal
from estela_consumer.patience import Patience
from estela_consumer.pipeline.batch import Batch
from estela_consumer.pipeline.refusals import Refusals, Trial
from estela_consumer.stores import Outcome, Store, Verdict
from estela_queue_adapter.backoff import pause_before
from estela_queue_adapter.errors import QueueError
from estela_wire.dataset import Dataset

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Written:
    """What became of a batch."""

    stored: Counter[Dataset] = field(default_factory=Counter)
    present: Counter[Dataset] = field(default_factory=Counter)
    dead: Counter[Dataset | None] = field(default_factory=Counter)
    """By dataset; None for messages that have none."""


class _ChunkWrite:
    """One chunk on its way: what is to be written still, and what was refused with an error that may pass."""

    def __init__(
        self, store: Store, dataset: Dataset, documents: Sequence[Document], written: Written, trial: Trial
    ) -> None:
        self.letters: list[RejectedMessage] = []
        self._store = store
        self._dataset = dataset
        self._pieces = [documents]
        self._written = written
        self._trial = trial
        self._refused: list[tuple[Sequence[Document], UnknownRefusal]] = []
        self._others_taken = False
        self._tries = 1

    def attempt(self) -> None:
        """Write every piece once. Raises StoreUnreachable if some of it must wait."""
        again: list[Document] = []
        why: StoreUnreachable | None = None
        try:
            while self._pieces:
                piece = self._pieces[-1]
                verdicts = self._store.write(self._dataset, piece)
                self._pieces.pop()
                if verdicts.count(Outcome.STORED) == len(piece):  # nearly always
                    self._written.stored[self._dataset] += len(piece)
                    self._others_taken = True
                    continue
                why = self._sort(piece, verdicts, again) or why
        finally:
            if again:
                self._pieces.append(again)
        if again:
            raise StoreUnreachable(f"{len(again)} documents of {self._dataset} cannot be written yet: {why}")
        if self._others_taken:
            self._trial.refusals.taken(self._dataset)

    def _sort(
        self, piece: Sequence[Document], verdicts: Sequence[Verdict], again: list[Document]
    ) -> StoreUnreachable | None:
        """Do what each verdict says; returns a reason to wait, if there is one."""
        why = None
        together: list[Document] = []
        for document, verdict in zip(piece, verdicts, strict=True):
            if verdict is Outcome.STORED:
                self._written.stored[self._dataset] += 1
            elif verdict is Outcome.PRESENT:
                self._written.present[self._dataset] += 1
            elif verdict is Outcome.RETRY:
                again.append(document)
            elif isinstance(verdict, StoreUnreachable):
                again.append(document)
                why = verdict
            elif not isinstance(verdict, UnknownRefusal):
                self._reject(document, verdict)
            elif verdict.alone:
                self._refused.append(([document], verdict))
            else:
                together.append(document)
                refusal = verdict
            self._others_taken |= verdict in (Outcome.STORED, Outcome.PRESENT)
        if together:
            self._refused.append((together, refusal))
        return why

    def refused(self) -> UnknownRefusal | None:
        """What is tried again, or None. What has been for its while is decided: find out whose fault it is.

        Those that one refusal was for are halved until each is refused alone, or stored.
        """
        refused, self._refused = self._refused, []
        waiting: list[Document] = []
        first = refused[0][1] if refused else None
        if first:
            self._trial.begin()
        for documents, refusal in refused:
            if not self._trial.is_over(self._dataset, refusal) or self._tries == 1:
                waiting += documents
            elif len(documents) == 1:
                self._give_up(documents[0], refusal)
            else:
                half = len(documents) // 2
                self._pieces += [documents[:half], documents[half:]]
        if waiting:
            self._pieces.append(waiting)
        if not self._pieces:
            return None
        self._tries += 1
        return first

    def _give_up(self, document: Document, refusal: UnknownRefusal) -> None:
        self._trial.refusals.outlasted(self._dataset, refusal, others_taken=self._others_taken)
        told = f"{refusal}; tried {self._tries} times in {self._trial.seconds:.0f} s"
        self._reject(document, BadMessage(refusal.reason, told))

    def _reject(self, document: Document, error: BadMessage) -> None:
        self._written.dead[self._dataset] += 1
        self.letters.append(RejectedMessage(document.message, error))


class BatchWriter:
    """Writes the parts of batches, waiting out outages as its patience says. Safe to share among threads."""

    def __init__(
        self,
        store: Store,
        dead_letters: DeadLetters,
        patience: Patience,
        refusals: Refusals | None = None,
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._patience = patience
        self._refusals = refusals or Refusals(patience.clock)
        self._store_outage = patience.outage("The store is away")
        self._queue_outage = patience.outage("The queue takes no dead letters")

    def trial(self) -> Trial:
        """The time that one batch has for documents which are refused with an unknown error."""
        return self._refusals.trial()

    def write(
        self, dataset: Dataset, documents: Sequence[Document], written: Written, trial: Trial
    ) -> list[RejectedMessage]:
        """Block until every document is stored, there already, or found to be one for the dead letters.

        Those are returned, the others counted. Raises StoreUnreachable only when patience ends.
        """
        chunk = _ChunkWrite(self._store, dataset, documents, written, trial)
        for tries in itertools.count(1):
            self._patience.insist(chunk.attempt, self._store_outage, StoreUnreachable)
            refusal = chunk.refused()
            if refusal is None:
                break
            if tries == 1:
                most = self._refusals.time_for(dataset, refusal)
                logger.warning("%s: %s. It may pass: tried again for %.0f s.", dataset, refusal, most)
            self._pause(tries, trial, dataset, refusal)
        if tries > 1:
            letters = len(chunk.letters)
            logger.warning("%s: tried for %.1f s: %d dead letters.", dataset, trial.seconds, letters)
        return chunk.letters

    def _pause(self, tries: int, trial: Trial, dataset: Dataset, refusal: UnknownRefusal) -> None:
        pause = pause_before(tries, self._patience.random)
        if tries > 1:  # and no longer than there is time; the second try comes in any case
            pause = min(pause, max(0.0, self._refusals.time_for(dataset, refusal) - trial.seconds))
        if self._patience.abandoned.wait(pause):
            raise StoreUnreachable(str(refusal))

    def publish_dead_letters(self, letters: Sequence[RejectedMessage]) -> None:
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
        self._letters = list(batch.rejected)
        if batch.rejected:
            self._written.dead[None] = len(batch.rejected)
        self._left = len(batch.chunks)
        self._trial = writer.trial()
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def parts(self) -> list[Callable[[], None]]:
        """What there is to do, in any order and at the same time."""
        chunks = self._batch.chunks.items()
        return [partial(self._write, dataset, documents) for dataset, documents in chunks] or [self._end]

    def _write(self, dataset: Dataset, documents: Sequence[Document]) -> None:
        try:
            # Counted in one object by all: each under its own dataset.
            letters = self._writer.write(dataset, documents, self._written, self._trial)
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
                self._writer.publish_dead_letters(self._letters)
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
