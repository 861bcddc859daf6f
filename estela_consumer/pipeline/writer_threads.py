"""The threads that write batches, several chunks at the same time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

from estela_consumer.decoding.document import Document
from estela_consumer.pipeline.batch import Batch
from estela_consumer.pipeline.writers import BatchWriter, WriteResult
from estela_wire.dataset import Dataset


class _BatchJob:
    """A batch that is being written. Its chunks go to whichever threads are free; the last ends it."""

    def __init__(self, batch: Batch, writer: BatchWriter) -> None:
        self.future: Future[WriteResult] = Future()
        self._batch = batch
        self._writer = writer
        self._result = WriteResult()
        self._rejected = list(batch.rejected)
        if batch.rejected:
            self._result.dead_lettered[None] = len(batch.rejected)
        self._unfinished = len(batch.chunks)
        self._retry_window = writer.retry_window()
        self._error: BaseException | None = None
        self._lock = threading.Lock()  # held for each change of `_rejected`, `_unfinished` and `_error`

    def tasks(self) -> list[Callable[[], None]]:
        """What there is to do, in any order and at the same time."""
        chunks = self._batch.chunks.items()
        return [partial(self._write, dataset, documents) for dataset, documents in chunks] or [self._end]

    def _write(self, dataset: Dataset, documents: Sequence[Document]) -> None:
        rejected, failure = [], None
        try:
            # Counted in one object by all: each under its own dataset.
            rejected = self._writer.write_chunk(dataset, documents, self._result, self._retry_window)
        except BaseException as error:  # noqa: BLE001  (it is raised again where the result is asked for)
            failure = error
        with self._lock:
            self._rejected += rejected
            self._error = failure or self._error
            self._unfinished -= 1
            last = self._unfinished == 0
        if last:
            self._end()

    def _end(self) -> None:
        """The last thread of the batch alone is here: it needs no lock."""
        error = self._error
        try:
            if error is None and self._rejected:
                self._writer.publish_dead_letters(self._rejected)
                self._result.reasons.update(rejected.error.reason for rejected in self._rejected)
                self._result.samples.update((rejected.error.reason, rejected) for rejected in self._rejected)
        except BaseException as failure:  # noqa: BLE001  (as above)
            error = failure
        if error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(error)


class _Task(NamedTuple):
    future: Future[WriteResult]
    run: Callable[[], None]


class WriterThreads:
    """`count` threads that write what is submitted, from `start` to `close`.

    `submit` may be called from any thread, between `start` and `close`. The threads are daemons: one that
    waits for a server which does not answer keeps no process from ending.
    """

    def __init__(self, writer: BatchWriter, count: int) -> None:
        self._writer = writer
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()  # None ends a thread
        self._threads = [
            threading.Thread(target=self._work, name=f"estela-writer-{number}", daemon=True)
            for number in range(count)
        ]

    def start(self) -> None:
        """Begin to write. Call it once."""
        for thread in self._threads:
            thread.start()

    def submit(self, batch: Batch) -> Future[WriteResult]:
        """Have the batch written, after those that were submitted before; the future gives what became of it.

        Or raises StoreUnreachable or QueueError if retrying ended: then submit it again, later.
        """
        job = _BatchJob(batch, self._writer)
        for task in job.tasks():
            self._waiting.put(_Task(job.future, task))
        return job.future

    def close(self, timeout: float) -> None:
        """Begin nothing more, and wait for what has begun, `timeout` seconds at most. Twice is fine.

        What was not begun is cancelled. A thread that still waits for its server then is left behind. It ends
        when the server answers, or when the retry policy is cancelled.
        """
        while True:
            try:
                task = self._waiting.get_nowait()
            except queue.Empty:
                break
            if task is not None:
                task.future.cancel()
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            task.run()
            del task  # or this thread would keep what it has written until it writes again
