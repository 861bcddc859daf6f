"""Writing batches: documents into the store, the rest to the dead letters, until both are safe."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from estela_consumer.dead_letters.publisher import DeadLetterPublisher, DeadLettersUndelivered
from estela_consumer.dead_letters.rejected_message import RejectedMessage
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable, UnknownRefusal
from estela_consumer.pipeline.refusals import RefusalHistory, RetryWindow
from estela_consumer.retry import DEAD_LETTERS, QUEUE, STORE, RetryPolicy
from estela_consumer.stores import Outcome, Store, Verdict
from estela_queue_adapter.backoff import pause_before
from estela_queue_adapter.errors import QueueError
from estela_wire.dataset import Dataset

_ACCEPTED = (Outcome.STORED, Outcome.PRESENT, Outcome.SUPERSEDED)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class WriteResult:
    """What became of a batch's messages, counted."""

    stored: Counter[Dataset] = field(default_factory=Counter)
    present: Counter[Dataset] = field(default_factory=Counter)
    superseded: Counter[Dataset] = field(default_factory=Counter)
    dead_lettered: Counter[Dataset | None] = field(default_factory=Counter)
    """By dataset; None for messages that have none."""
    reasons: Counter[Reason] = field(default_factory=Counter)
    """The same messages by reason."""
    samples: dict[Reason, RejectedMessage] = field(default_factory=dict)
    """One of them for each reason."""


class _ChunkWrite:
    """One chunk on its way: what is to be written still, and what was refused with an error that may pass.

    Belongs to the writer thread that has the chunk.
    """

    def __init__(
        self,
        store: Store,
        dataset: Dataset,
        documents: Sequence[Document],
        result: WriteResult,
        retry_window: RetryWindow,
    ) -> None:
        self.rejected: list[RejectedMessage] = []
        self._store = store
        self._dataset = dataset
        self._unwritten = _apart(documents)  # each is one write
        self._result = result
        self._retry_window = retry_window
        self._refused: list[tuple[Sequence[Document], UnknownRefusal]] = []
        self._waiting: dict[int, UnknownRefusal] = {}  # why a document waits, by its `id()`
        self._others_accepted = False
        self._attempts = 1

    def attempt(self) -> None:
        """Write all once. Raises StoreUnreachable if some of it must wait."""
        again: list[Document] = []
        error: StoreUnreachable | None = None
        try:
            while self._unwritten:
                documents = self._unwritten[-1]
                write = self._store.write if documents[0].version is None else self._store.write_keyed
                verdicts = write(self._dataset, documents)
                self._unwritten.pop()
                if verdicts.count(Outcome.STORED) == len(documents):  # nearly always
                    self._result.stored[self._dataset] += len(documents)
                    self._note_accepted(documents)
                    continue
                error = self._apply(verdicts, documents, again) or error
        finally:
            if again:
                self._unwritten += _apart(again)
        if again:
            raise StoreUnreachable(f"{len(again)} documents of {self._dataset} not written yet: {error}")

    def _apply(
        self, verdicts: Sequence[Verdict], documents: Sequence[Document], again: list[Document]
    ) -> StoreUnreachable | None:
        """Do what each verdict says; returns a reason to wait, if there is one."""
        reason = None
        refused_together: list[Document] = []
        accepted: list[Document] = []
        for document, verdict in zip(documents, verdicts, strict=True):
            if verdict is Outcome.STORED:
                self._result.stored[self._dataset] += 1
            elif verdict is Outcome.PRESENT:
                self._result.present[self._dataset] += 1
            elif verdict is Outcome.SUPERSEDED:
                self._result.superseded[self._dataset] += 1
            elif verdict is Outcome.RETRY:
                again.append(document)
            elif isinstance(verdict, StoreUnreachable):
                again.append(document)
                reason = verdict
            elif not isinstance(verdict, UnknownRefusal):
                self._reject(document, verdict)
            elif verdict.alone:
                self._refused.append(([document], verdict))
            else:
                refused_together.append(document)
                refusal = verdict
            if verdict in _ACCEPTED:
                accepted.append(document)
        if refused_together:
            self._refused.append((refused_together, refusal))
        if accepted:
            self._note_accepted(accepted)
        return reason

    def _note_accepted(self, documents: Sequence[Document]) -> None:
        """Have it known that the store takes documents, also such as it refused before."""
        history = self._retry_window.history
        self._others_accepted = True
        history.add_accepted(self._dataset)
        if self._waiting:
            for document in documents:
                if refusal := self._waiting.pop(id(document), None):
                    history.add_passed(self._dataset, refusal)

    def requeue_refused(self) -> UnknownRefusal | None:
        """Decide what was refused: to be written again, or rejected. Returns why again, or None.

        What has been tried for its time is rejected. Those that one refusal was for are halved first, until
        each is refused alone, or stored.
        """
        refused, self._refused = self._refused, []
        waiting: list[Document] = []
        # Those that are halved are not among it: some are stored as they are apart, and the error stays.
        why: dict[int, UnknownRefusal] = {}
        first = refused[0][1] if refused else None
        if first:
            self._retry_window.start()
        for documents, refusal in refused:
            self._retry_window.history.add_refused(self._dataset, refusal)
            if not self._retry_window.is_over(self._dataset, refusal) or self._attempts == 1:
                waiting += documents
                why.update((id(document), refusal) for document in documents)
            elif len(documents) == 1:
                self._reject_after_retries(documents[0], refusal)
            else:
                half = len(documents) // 2
                self._unwritten += [documents[:half], documents[half:]]
        if waiting:
            self._unwritten += _apart(waiting)
        self._waiting = why
        if not self._unwritten:
            return None
        self._attempts += 1
        return first

    def _reject_after_retries(self, document: Document, refusal: UnknownRefusal) -> None:
        window = self._retry_window
        window.history.add_retried_in_vain(
            self._dataset, refusal, since=window.started_at, others_accepted=self._others_accepted
        )
        text = f"{refusal}; tried {self._attempts} times in {window.elapsed:.0f} s"
        self._reject(document, BadMessage(refusal.reason, text))

    def _reject(self, document: Document, error: BadMessage) -> None:
        self._result.dead_lettered[self._dataset] += 1
        self.rejected.append(RejectedMessage(document.message, error))


def _apart(documents: Sequence[Document]) -> list[Sequence[Document]]:
    """Those with a key and those without, which are written differently; nearly always there is one kind."""
    keyed = [document for document in documents if document[3] is not None]
    if not keyed or len(keyed) == len(documents):
        return [documents]
    return [keyed, [document for document in documents if document[3] is None]]


class BatchWriter:
    """Writes the parts of batches, waiting out outages as its retry policy says. Writer threads share it."""

    def __init__(
        self,
        store: Store,
        dead_letters: DeadLetterPublisher,
        retry: RetryPolicy,
        refusals: RefusalHistory | None = None,
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._retry = retry
        self._refusals = refusals or RefusalHistory(retry.clock)
        self._store_outage = retry.outage(STORE)
        self._queue_outage = retry.outage(QUEUE, DEAD_LETTERS)

    def retry_window(self) -> RetryWindow:
        """The time that one batch has for documents which are refused with an unknown error."""
        return self._refusals.retry_window()

    def write_chunk(
        self, dataset: Dataset, documents: Sequence[Document], result: WriteResult, retry_window: RetryWindow
    ) -> list[RejectedMessage]:
        """Block until every document is stored, there already, or rejected.

        Those rejected are returned, all are counted. Raises StoreUnreachable only when retrying ends.
        """
        chunk = _ChunkWrite(self._store, dataset, documents, result, retry_window)
        for attempt in itertools.count(1):
            self._retry.call(chunk.attempt, self._store_outage, StoreUnreachable)
            refusal = chunk.requeue_refused()
            if refusal is None:
                break
            if attempt == 1:
                logger.warning(
                    "%s: %s. Retrying for up to %.0f s, as the error may pass.",
                    dataset, refusal, self._refusals.retry_seconds(dataset, refusal),
                )  # fmt: skip
            self._pause_before_retry(attempt, retry_window, dataset, refusal)
        if attempt > 1:
            logger.warning(
                "%s: retried for %.1f s; %d documents became dead letters.",
                dataset, retry_window.elapsed, len(chunk.rejected),
            )  # fmt: skip
        return chunk.rejected

    def _pause_before_retry(
        self, attempt: int, retry_window: RetryWindow, dataset: Dataset, refusal: UnknownRefusal
    ) -> None:
        pause = pause_before(attempt, self._retry.random)
        if attempt > 1:  # and no longer than there is time; the second try comes in any case
            remaining = self._refusals.retry_seconds(dataset, refusal) - retry_window.elapsed
            pause = min(pause, max(0.0, remaining))
        if self._retry.cancelled.wait(pause):
            raise StoreUnreachable(str(refusal))

    def publish_dead_letters(self, rejected: Sequence[RejectedMessage]) -> None:
        """Block until each has its dead letter published. Raises QueueError only when retrying ends."""
        unpublished = rejected

        def attempt() -> None:
            nonlocal unpublished
            try:
                self._dead_letters.publish(unpublished)
            except DeadLettersUndelivered as error:
                unpublished = error.rejected
                raise

        self._retry.call(attempt, self._queue_outage, QueueError)
