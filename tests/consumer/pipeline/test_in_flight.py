"""What may be committed, while batches are written in any order and partitions come and go."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from estela_consumer.errors import StoreUnreachable
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.in_flight import InFlight
from estela_consumer.pipeline.writers import WriteResult
from estela_queue_adapter import Message, Position

PARTITIONS = 3


def batch_of(*messages: tuple[int, int], value: bytes = b"") -> Batch:
    """Of partitions and offsets."""
    batch = Batch(ChunkLimits(), 0.0)
    for partition, offset in messages:
        batch.add(Message("t", partition, offset, 0.0, value, None, ()), None)
    return batch


def at(partition: int, offset: int) -> Position:
    return Position("t", partition, offset)


class Writers:
    """Takes batches, and leaves it to the test when they are written."""

    def __init__(self) -> None:
        self.futures: list[Future[WriteResult]] = []

    def submit(self, _: Batch) -> Future[WriteResult]:
        self.futures.append(Future())
        return self.futures[-1]

    def finish(self, number: int) -> None:
        self.futures[number].set_result(WriteResult())


@pytest.fixture
def writers() -> Writers:
    return Writers()


@pytest.fixture
def in_flight(writers: Writers) -> InFlight:
    """It owns the partitions 0 and 1."""
    in_flight = InFlight(writers.submit, max_bytes=100)
    in_flight.assign([0, 1])
    return in_flight


class TestTakingWhatIsWritten:
    def test_goes_in_the_order_of_the_batches_whatever_the_order_of_the_writers(
        self, in_flight: InFlight, writers: Writers
    ) -> None:
        first, second = batch_of((0, 0)), batch_of((0, 1))
        in_flight.submit(first)
        in_flight.submit(second)

        writers.finish(1)
        assert in_flight.take_written() is None
        assert in_flight.uncommitted == []
        writers.finish(0)
        taken = [in_flight.take_written(), in_flight.take_written(), in_flight.take_written()]

        assert [written and written.batch for written in taken] == [first, second, None]
        assert in_flight.uncommitted == [at(0, 2)]
        assert len(in_flight) == 0

    def test_raises_the_error_of_the_oldest_each_time_and_takes_nothing_behind_it(
        self, in_flight: InFlight, writers: Writers
    ) -> None:
        in_flight.submit(batch_of((0, 0)))
        in_flight.submit(batch_of((0, 1)))
        writers.futures[0].set_exception(StoreUnreachable("no"))
        writers.finish(1)

        for _ in range(2):
            with pytest.raises(StoreUnreachable):
                in_flight.take_written()

        assert len(in_flight) == 2
        assert in_flight.uncommitted == []

    def test_says_how_long_it_took(self, writers: Writers) -> None:
        times = iter([10.0, 12.5])
        in_flight = InFlight(writers.submit, max_bytes=100, clock=lambda: next(times))
        in_flight.submit(batch_of((0, 0)))

        writers.finish(0)
        written = in_flight.take_written()

        assert written is not None
        assert written.seconds == pytest.approx(2.5)


class TestBackpressure:
    @pytest.mark.parametrize(
        ("batches", "bytes_each", "expected"),
        [(0, 0, False), (1, 1_000, False), (2, 10, False), (2, 50, True), (3, 1, True)],
    )
    def test_is_too_many_batches_or_bytes_and_never_one_batch(
        self, in_flight: InFlight, batches: int, bytes_each: int, expected: bool
    ) -> None:
        for offset in range(batches):
            in_flight.submit(batch_of((0, offset), value=b"x" * bytes_each))

        assert in_flight.has_room() is not expected

    def test_ends_as_soon_as_the_oldest_is_taken(self, in_flight: InFlight, writers: Writers) -> None:
        for offset in range(3):
            in_flight.submit(batch_of((0, offset)))
        assert not in_flight.wait_for_oldest(0.0)

        writers.finish(0)
        assert in_flight.wait_for_oldest(0.0)
        in_flight.take_written()

        assert in_flight.has_room()


class TestForgetting:
    def test_leaves_the_other_partitions_of_a_batch(self, in_flight: InFlight, writers: Writers) -> None:
        in_flight.submit(batch_of((0, 5), (1, 7)))

        in_flight.forget([0])
        assert in_flight.partitions == {1}
        writers.finish(0)
        in_flight.take_written()

        assert in_flight.uncommitted == [at(1, 8)]

    def test_covers_what_is_written_and_not_committed(self, in_flight: InFlight, writers: Writers) -> None:
        in_flight.submit(batch_of((0, 5)))
        writers.finish(0)
        in_flight.take_written()

        in_flight.forget([0])

        assert in_flight.uncommitted == []
        assert in_flight.partitions == set()


class TestWhatWasReadPast:
    def test_may_be_committed_once(self, in_flight: InFlight) -> None:
        in_flight.add_passed([at(0, 9)], in_hand=())
        assert in_flight.uncommitted == [at(0, 9)]

        in_flight.mark_committed(in_flight.uncommitted)
        in_flight.add_passed([at(0, 9)], in_hand=())

        assert in_flight.uncommitted == []

    def test_may_not_be_if_the_partition_is_anothers_or_has_messages_in_hand(
        self, in_flight: InFlight
    ) -> None:
        in_flight.submit(batch_of((1, 3)))

        in_flight.add_passed([at(0, 9), at(1, 9), at(2, 9)], in_hand={0})

        assert in_flight.uncommitted == []

    def test_may_be_committed_again_by_the_next_reader_and_not_by_the_last(self, in_flight: InFlight) -> None:
        in_flight.add_passed([at(0, 9)], in_hand=())
        in_flight.mark_committed(in_flight.uncommitted)

        in_flight.forget([0])
        in_flight.add_passed([at(0, 9)], in_hand=())
        assert in_flight.uncommitted == []
        in_flight.assign([0])
        in_flight.add_passed([at(0, 9)], in_hand=())

        assert in_flight.uncommitted == [at(0, 9)]


def test_a_position_that_moved_on_while_it_was_committed_stays(in_flight: InFlight) -> None:
    in_flight.add_passed([at(0, 9)], in_hand=())
    committing = in_flight.uncommitted
    in_flight.drop_uncommitted()
    in_flight.add_passed([at(0, 12)], in_hand=())

    in_flight.mark_committed(committing)

    assert in_flight.uncommitted == [at(0, 12)]


class AnyOrder(RuleBasedStateMachine):
    """Reads, writes, commits and moves partitions in any order, with books of its own beside it."""

    @initialize()
    def begin(self) -> None:
        self.writers = Writers()
        self.written: list[list[tuple[int, int]]] = []
        """The messages of each batch."""
        self.in_flight = InFlight(self.writers.submit, max_bytes=1 << 60)
        self.in_flight.assign(range(PARTITIONS))
        self.next = dict.fromkeys(range(PARTITIONS), 0)
        self.committed = dict.fromkeys(range(PARTITIONS), 0)
        self.safe: set[tuple[int, int]] = set()

    @rule(partitions=st.lists(st.integers(0, PARTITIONS - 1), min_size=1, max_size=6))
    def submit(self, partitions: list[int]) -> None:
        messages = []
        for partition in partitions:
            messages.append((partition, self.next[partition]))
            self.next[partition] += 1
        self.written.append(messages)
        self.in_flight.submit(batch_of(*messages))

    @rule(data=st.data())
    def a_writer_finishes(self, data: st.DataObject) -> None:
        if under_way := [n for n, future in enumerate(self.writers.futures) if not future.done()]:
            number = data.draw(st.sampled_from(under_way))
            self.safe.update(self.written[number])
            self.writers.finish(number)

    @rule()
    def take_one(self) -> None:
        self.in_flight.take_written()

    @rule(partition=st.integers(0, PARTITIONS - 1), count=st.integers(1, 3))
    def read_past_what_is_no_message(self, partition: int, count: int) -> None:
        offset = self.next[partition]
        self.safe.update((partition, offset + passed) for passed in range(count))
        self.next[partition] += count
        self.in_flight.add_passed([at(partition, self.next[partition])], in_hand=())

    @rule()
    def commit(self) -> None:
        positions = self.in_flight.uncommitted
        for position in positions:
            # What was submitted before the partition moved away is the next reader's to commit.
            assert position.offset <= self.next[position.partition]
            self.committed[position.partition] = max(self.committed[position.partition], position.offset)
        self.in_flight.mark_committed(positions)

    @rule(partition=st.integers(0, PARTITIONS - 1))
    def a_partition_moves_away_and_back(self, partition: int) -> None:
        self.in_flight.forget([partition])
        assert partition not in self.in_flight.partitions
        self.in_flight.assign([partition])
        self.next[partition] = self.committed[partition]

    @invariant()
    def what_may_be_committed_is_safe(self) -> None:
        for position in self.in_flight.uncommitted:
            assert all((position.partition, offset) in self.safe for offset in range(position.offset))

    def teardown(self) -> None:
        for number, future in enumerate(self.writers.futures):
            if not future.done():
                self.safe.update(self.written[number])
                self.writers.finish(number)
        while self.in_flight.take_written():
            pass
        self.commit()
        self.in_flight.add_passed([at(*place) for place in self.next.items()], in_hand=())
        self.commit()

        assert self.committed == self.next
        assert self.in_flight.partitions == set()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
