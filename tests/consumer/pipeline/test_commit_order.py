"""Committed means safe, whatever the order in which writers finish and partitions move.

The queue and the writers are doubles here: the real ones cannot be told in which order to finish.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.pipeline import Pipeline, PipelineSettings
from estela_consumer.pipeline.progress import Progress
from estela_consumer.pipeline.writers import WriteResult
from estela_consumer.retry import RetryPolicy
from estela_queue_adapter import Consumer, Message, PartitionListener, Position, Subscription
from estela_queue_adapter.errors import CommitRefused

PARTITIONS = 3


class Books:
    """Which message is safe, and what was committed."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.pending: list[tuple[list[Message], Future[WriteResult]]] = []
        self.safe: set[tuple[int, int]] = set()
        self.committed = dict.fromkeys(range(PARTITIONS), 0)

    def finish_some(self, *, all_of_them: bool = False) -> None:
        """Writers finish, in any order."""
        self.chance.shuffle(self.pending)
        while self.pending and (all_of_them or self.chance.random() < 0.5):
            messages, future = self.pending.pop()
            self.safe.update((message.partition, message.offset) for message in messages)
            future.set_result(WriteResult())

    def commit(self, position: Position) -> None:
        """What the broker is told: everything before it must be safe."""
        for offset in range(position.offset):
            assert (position.partition, offset) in self.safe
        self.committed[position.partition] = max(self.committed[position.partition], position.offset)


class ScriptedWriters:
    """Stands in for WriterThreads."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def submit(self, batch: Batch) -> Future[WriteResult]:
        future: Future[WriteResult] = Future()
        messages = [document.message for chunk in batch.chunks.values() for document in chunk]
        self._books.pending.append((messages, future))
        self._books.finish_some()
        return future


class ScriptedConsumer(Consumer):
    """Hands out messages at random, and takes partitions away at random."""

    def __init__(self, books: Books, per_partition: int, listener: PartitionListener) -> None:
        self._books = books
        self._count = per_partition
        self._listener = listener
        self._next = dict.fromkeys(range(PARTITIONS), 0)
        self._paused = False

    subscription = Subscription(topic="t")

    def get_connection(self) -> bool:
        return True

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        self._books.finish_some(all_of_them=self._paused)
        if self._books.chance.random() < 0.2:
            self._move(self._books.chance.randrange(PARTITIONS))
        if self._paused:  # what was on its way when it was paused must not be dropped either
            return list(self._some(1)) if self._books.chance.random() < 0.1 else []
        return list(self._some(self._books.chance.randint(1, 7)))

    def commit(self, positions: Iterable[Position]) -> None:
        if self._books.chance.random() < 0.3:
            raise CommitRefused("the group is moving partitions")
        for position in positions:
            # What was handed out before the partition was taken away is the next reader's to commit.
            assert position.offset <= self._next[position.partition]
            self._books.commit(position)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def positions(self) -> Sequence[Position]:
        return [Position("t", partition, self._next[partition]) for partition in range(PARTITIONS)]

    def end_positions(self) -> Sequence[Position]:
        return [Position("t", partition, self._count) for partition in range(PARTITIONS)]

    def close(self) -> None:
        self._books.finish_some(all_of_them=True)

    def _some(self, wanted: int) -> Iterator[Message]:
        for _ in range(wanted):
            partition = self._books.chance.randrange(PARTITIONS)
            offset = self._next[partition]
            if offset < self._count:
                self._next[partition] += 1
                data = json.dumps({"jid": "1.s.p", "payload": {"n": offset}}).encode()
                yield Message("t", partition, offset, 1.0, None, data, ())

    def _move(self, partition: int) -> None:
        """Away and back again: reading goes on at what is committed."""
        lost = self._books.chance.random() < 0.5
        (self._listener.partitions_lost if lost else self._listener.partitions_revoked)([partition])
        self._next[partition] = self._books.committed[partition]
        self._listener.partitions_assigned([partition])


class ScriptedPlatform:
    """Stands in for a platform."""

    def __init__(self, books: Books, per_partition: int) -> None:
        self._books = books
        self._count = per_partition

    def consumer(self, _: Subscription, listener: PartitionListener) -> Consumer:
        return ScriptedConsumer(self._books, self._count, listener)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1 << 32), per_partition=st.integers(0, 40), count=st.integers(1, 9))
def test_nothing_is_committed_that_is_not_safe_and_in_the_end_everything_is(
    seed: int, per_partition: int, count: int
) -> None:
    books = Books(random.Random(seed))
    pipeline = Pipeline(
        ScriptedPlatform(books, per_partition),  # type: ignore[arg-type]  # it has no more than is asked for here
        Subscription(topic="t"),
        ScriptedWriters(books),  # type: ignore[arg-type]  # so do they
        PipelineSettings(limits=ChunkLimits(count=count, age=0.0), drain=True, grace=0.0),
        RetryPolicy(),
        Progress(("t",)),
    )

    with pytest.MonkeyPatch.context() as patch:  # no waiting where nothing moves by itself
        patch.setattr("estela_consumer.pipeline.gathering._POLL_TIMEOUT", 0.001)
        patch.setattr("estela_consumer.pipeline.pipeline._WRITER_TIMEOUT", 0.001)
        pipeline.run()

    assert books.committed == dict.fromkeys(range(PARTITIONS), per_partition)
