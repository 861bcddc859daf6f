"""What the pipelines of a process have in hand is bounded, however many they are and slow the store is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

import pytest

from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.in_flight import BatchSlots
from estela_consumer.pipeline.pipeline import Pipeline, PipelineSettings
from estela_consumer.pipeline.progress import Progress
from estela_consumer.pipeline.writers import WriteResult
from estela_consumer.retry import RetryPolicy
from estela_queue_adapter import Consumer, Message, PartitionListener, Position, Subscription

LIMITS = ChunkLimits(bytes=128 * 1024, age=60.0)
_AT_ONCE = 500  # messages that one poll brings


class EndlessConsumer(Consumer):
    """Has always more, of so many datasets in turn, and stops its pipeline once that takes no more."""

    def __init__(self, datasets: int) -> None:
        self.pipeline: Pipeline | None = None
        self._datasets = datasets
        self._offset = 0
        self._paused = False

    subscription = Subscription(topic="t")

    def get_connection(self) -> bool:
        return True

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        if self._paused:
            assert self.pipeline is not None
            self.pipeline.stop()
            return []
        return [self._message() for _ in range(min(_AT_ONCE, max_messages))]

    def _message(self) -> Message:
        number, self._offset = self._offset, self._offset + 1
        envelope = {"jid": f"{number % self._datasets}.shop.p", "payload": {"text": "x" * 150}}
        return Message("t", 0, number, 0.0, None, json.dumps(envelope).encode(), ())

    def commit(self, positions: Iterable[Position]) -> None:
        raise AssertionError("nothing is written")

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def positions(self) -> Sequence[Position]:
        return []

    def end_positions(self) -> Sequence[Position]:
        return []

    def close(self) -> None:
        pass


class EndlessPlatform:
    """Stands in for a platform."""

    def __init__(self, datasets: int) -> None:
        self._datasets = datasets

    def consumer(self, _: Subscription, listener: PartitionListener) -> Consumer:
        consumer = EndlessConsumer(self._datasets)
        assert isinstance(listener, Pipeline)
        consumer.pipeline = listener
        return consumer


class HungWriters:
    """Stands in for writer threads whose store never answers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def submit(self, batch: Batch) -> Future[WriteResult]:
        self.batches.append(batch)
        return Future()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("estela_consumer.pipeline.pipeline._WRITER_TIMEOUT", 0.0)


def in_hand(pipelines: int, datasets: int) -> list[list[Batch]]:
    """What each of so many pipelines has in hand when none of them takes more."""
    slots, everything = BatchSlots(), []
    for _ in range(pipelines):
        writers = HungWriters()
        Pipeline(
            EndlessPlatform(datasets),  # type: ignore[arg-type]  # it has no more than is asked for here
            Subscription(topic="t"),
            writers,  # type: ignore[arg-type]  # so do they
            PipelineSettings(limits=LIMITS.shared_by(pipelines), grace=0.0),
            RetryPolicy(),
            Progress(("t",)),
            slots=slots,
        ).run()
        everything.append(writers.batches)
    return everything


@pytest.mark.parametrize("datasets", [1, 1_000], ids=["one dataset", "1,000 datasets"])
@pytest.mark.parametrize("pipelines", [1, 2, 8, 50])
def test_the_bytes_in_hand_are_bounded_for_the_process_and_not_for_each_topic(
    pipelines: int, datasets: int
) -> None:
    batches = [batch for of_one in in_hand(pipelines, datasets) for batch in of_one]

    beyond = 64 * 250 * len(batches)  # bytes: what is decoded together is not cut apart
    assert sum(batch.bytes for batch in batches) <= 3 * LIMITS.batch_bytes + beyond
    assert sum(batch.messages for batch in batches) <= 3 * LIMITS.batch_messages


def test_a_topic_that_is_alone_has_two_batches_written_while_it_gathers_the_third() -> None:
    [batches] = in_hand(1, datasets=1)

    assert len(batches) == 3


def test_several_have_one_written_while_they_gather_and_one_of_them_one_more() -> None:
    assert [len(batches) for batches in in_hand(8, datasets=1)] == [3, 2, 2, 2, 2, 2, 2, 2]
