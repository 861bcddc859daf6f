"""What is being written, and what may be committed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, wait
from typing import NamedTuple

from estela_consumer.pipeline.batch import OWN_SLOTS, SHARED_SLOTS, Batch
from estela_consumer.pipeline.writers import WriteResult
from estela_queue_adapter import Position


class WrittenBatch(NamedTuple):
    """A batch of which each message is stored, or a dead letter."""

    batch: Batch
    result: WriteResult
    seconds: float
    """Since it was submitted."""


class _Submitted(NamedTuple):
    batch: Batch
    future: Future[WriteResult]
    submitted_at: float


class BatchSlots:
    """The slots that the pipelines of a process share, beside those that each has of its own.

    While many pipelines wait for the store, one more batch for each would cost memory and bring no speed:
    the store has enough to do. Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the count
        self._free = SHARED_SLOTS

    def take(self) -> bool:
        """Take a slot, if one is free; whether it was."""
        with self._lock:
            if not self._free:
                return False
            self._free -= 1
            return True

    def give_back(self) -> None:
        """Have the slot that was taken be another's."""
        with self._lock:
            self._free += 1


class InFlight:
    """The batches that are being written, oldest first, and the positions that may be committed.

    Writers finish in any order, but a position may be committed only once its batch and all before it are
    written, and only while its partition is ours.

    Belongs to the pipeline's thread. When partitions move, calls may come from a thread of the platform's,
    while the pipeline's thread waits for it in `poll`: so never two at a time, and no lock. Writer threads
    touch nothing but the futures.
    """

    def __init__(
        self,
        submit: Callable[[Batch], Future[WriteResult]],
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        slots: BatchSlots | None = None,
    ) -> None:
        self._submit = submit
        self._max_bytes = max_bytes
        self._slots = slots or BatchSlots()
        self._has_shared_slot = False
        self._clock = clock
        self._batches: deque[_Submitted] = deque()
        self._owned: set[int] = set()  # partitions
        self._uncommitted: dict[int, Position] = {}  # of each partition: what may be committed and is not
        self._committed: dict[int, int] = {}  # of each partition that is owned: the offset committed last

    def __len__(self) -> int:
        """How many batches are not known to be written."""
        return len(self._batches)

    def has_room(self) -> bool:
        """Whether one more batch may be gathered; for a third it takes the slot that all pipelines share."""
        if len(self._batches) < OWN_SLOTS:
            return True
        if len(self._batches) > OWN_SLOTS:
            return False
        if sum(submitted.batch.bytes for submitted in self._batches) >= self._max_bytes:
            return False
        self._has_shared_slot = self._has_shared_slot or self._slots.take()
        return self._has_shared_slot

    @property
    def partitions(self) -> set[int]:
        """Those of which something is being written, or written and not committed."""
        return self._uncommitted.keys() | {
            partition for submitted in self._batches for partition in submitted.batch.positions
        }

    @property
    def uncommitted(self) -> list[Position]:
        """What may be committed now, and is not."""
        return list(self._uncommitted.values())

    def submit(self, batch: Batch) -> None:
        """Have the batch written."""
        self._batches.append(_Submitted(batch, self._submit(batch), self._clock()))

    def wait_for_oldest(self, timeout: float) -> bool:
        """Block until the oldest batch is written or has failed, `timeout` seconds at most; whether it is."""
        oldest = self._batches[0].future
        wait([oldest], timeout)
        return oldest.done()

    def wait_for_all(self, timeout: float) -> None:
        """Block until every batch is written or has failed, `timeout` seconds at most."""
        wait([submitted.future for submitted in self._batches], timeout)

    def take_written(self) -> WrittenBatch | None:
        """The oldest batch, if it is written: its positions may be committed from now on.

        Raises the error of a batch that failed, each time, as nothing behind it may be committed.
        """
        if not self._batches or not self._batches[0].future.done():
            return None
        batch, future, submitted_at = self._batches[0]
        result = future.result()
        self._batches.popleft()
        if self._has_shared_slot and len(self._batches) < OWN_SLOTS:
            self._has_shared_slot = False
            self._slots.give_back()
        self._uncommitted.update(batch.positions)
        return WrittenBatch(batch, result, self._clock() - submitted_at)

    def add_passed(self, positions: Iterable[Position], in_hand: Collection[int]) -> None:
        """Note where reading is. What was read past without a message may be committed.

        Only in a partition that is ours, and of which no message is `in_hand`, here or elsewhere.
        """
        idle = self._owned.difference(in_hand, self.partitions)
        for position in positions:
            if position.partition in idle and position.offset != self._committed.get(position.partition):
                self._uncommitted[position.partition] = position

    def mark_committed(self, positions: Iterable[Position]) -> None:
        """Note that these are committed."""
        for position in positions:
            self._committed[position.partition] = position.offset
            if self._uncommitted.get(position.partition) == position:
                del self._uncommitted[position.partition]

    def drop_uncommitted(self) -> None:
        """Note that nothing of what is written can be committed: its topic is gone."""
        self._uncommitted.clear()

    def assign(self, partitions: Iterable[int]) -> None:
        """Note that these are ours."""
        self._owned.update(partitions)

    def forget(self, partitions: Collection[int]) -> None:
        """Commit nothing for these any more, until they are assigned and read again."""
        for submitted in self._batches:
            submitted.batch.forget(partitions)
        for partition in partitions:
            self._uncommitted.pop(partition, None)
            self._committed.pop(partition, None)
            self._owned.discard(partition)
