"""What a pipeline does is counted once, whatever it is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_consumer.errors import BadMessage, Reason
from estela_consumer.pipeline.activity.histogram import Histogram
from estela_consumer.pipeline.activity.topic_activity import TopicActivity
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.in_flight import WrittenBatch
from estela_consumer.pipeline.writers import WriteResult
from estela_queue_adapter import Message

BOUNDS = (0.5, 1.0, 10.0)


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 2e9), max_size=30).map(sorted), st.floats(0.0, 2e9))
def test_many_ages_are_counted_as_each_alone(timestamps: list[float], now: float) -> None:
    together, apart = Histogram(BOUNDS), Histogram(BOUNDS)

    together.add_ages(timestamps, now)
    for timestamp in timestamps:
        apart.add(max(0.0, now - timestamp))

    # An age that is a bound but for the rounding of a difference may be on either side of it.
    near = sum(abs(now - timestamp - bound) < 1e-6 for timestamp in timestamps for bound in BOUNDS)
    for (_, one), (_, other) in zip(together.snapshot().buckets, apart.snapshot().buckets, strict=True):
        assert abs(one - other) <= near
    assert together.snapshot().sum == pytest.approx(apart.snapshot().sum, abs=1e-3)


class Clock:
    """Time that stands still."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def batch_of(*timestamps: float) -> Batch:
    batch = Batch(ChunkLimits(), 0.0)
    for offset, timestamp in enumerate(timestamps):
        data = b'{"jid": "1.s.p", "payload": {"n": %d}}' % offset
        message = Message("t", 0, offset, timestamp, None, data, ())
        batch.add(message, decode(message))
    bad = Message("t", 0, len(timestamps), -0.001, None, b"rubbish", ())  # without a time of its own
    batch.add(bad, BadMessage(Reason.UNDECODABLE, "rubbish"))
    return batch


def test_a_batch_is_told_from_its_beginning_to_its_end() -> None:
    clock = Clock()
    activity = TopicActivity(detailed=True, clock=clock, now=clock)
    batch, result = batch_of(900.0, 990.0, 2_000.0), WriteResult()
    result.reasons[Reason.UNDECODABLE] += 1

    activity.submitted(batch)
    during = activity.snapshot()
    activity.written(WrittenBatch(batch, result, 0.3))
    after = activity.snapshot()

    assert (during.in_flight_batches, during.in_flight_bytes) == (1, batch.bytes)
    assert during.read_bytes == 3 * 37 + 7
    assert after.in_flight_batches == 0
    assert after.dead_letters == {"undecodable": 1}
    assert after.latency.sum == 110.0  # the message of the future took no time, the one without a time none
    assert after.latency.buckets[-1][1] == 3
    assert dict(after.write_duration.buckets)[0.25] == 0
    assert dict(after.write_duration.buckets)[0.5] == 1
    assert dict(after.batch_messages.buckets)[10] == 1


def test_without_details_no_message_is_looked_at() -> None:
    activity = TopicActivity()

    activity.submitted(batch_of(1.0))

    assert activity.snapshot().read_bytes == 0
    assert activity.snapshot().in_flight_batches == 1


def test_a_group_that_has_thrown_us_out_is_not_joined_until_it_has_us_again() -> None:
    activity = TopicActivity()
    seen = [activity.snapshot().joined]

    for event, partitions in [("assigned", [0, 1]), ("revoked", [1]), ("lost", [0]), ("assigned", [])]:
        activity.rebalanced(event, partitions)
        seen.append(activity.snapshot().joined)

    assert seen == [False, True, True, False, True]
    assert activity.snapshot().partitions == ()
    assert activity.snapshot().rebalances == {"assigned": 2, "revoked": 1, "lost": 1}
