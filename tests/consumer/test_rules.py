"""Chunks, rate limit, back-off, retries: each with the clock in hand."""

from __future__ import annotations

import gc
import itertools
import logging
import math
import weakref
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.document import Document
from estela_consumer.errors import AccessRefused, BadMessage, Reason, StoreLoginRefused
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.interval import Interval
from estela_consumer.pipeline.rate_limit import RateLimiter
from estela_consumer.pipeline.stop_request import StopRequest
from estela_consumer.retry import Outage, RetryPolicy
from estela_queue_adapter import Message, Position
from estela_queue_adapter.backoff import pause_before
from estela_queue_adapter.errors import AccessDenied
from estela_wire.dataset import Dataset


def message(offset: int = 0, partition: int = 0) -> Message:
    return Message("topic", partition, offset, 0.0, None, b"{}", ())


def document(size: int = 10, collection: str = "c") -> Document:
    return Document(Dataset("d", collection), b"x" * size, message())


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_batch_is_full_when_one_chunk_has_its_count() -> None:
    batch = Batch(ChunkLimits(count=2), 0.0)

    batch.add(message(0), document(collection="a"))
    batch.add(message(1), document(collection="b"))
    assert not batch.full
    batch.add(message(2), document(collection="a"))

    assert batch.full
    assert {str(dataset): len(chunk) for dataset, chunk in batch.chunks.items()} == {"d/a": 2, "d/b": 1}


def test_a_batch_is_full_when_one_chunk_has_its_bytes() -> None:
    batch = Batch(ChunkLimits(bytes=100), 0.0)

    batch.add(message(), document(size=99))
    assert not batch.full
    batch.add(message(), document(size=1))

    assert batch.full


def test_many_datasets_do_not_make_a_batch_grow_without_bound() -> None:
    batch = Batch(ChunkLimits(bytes=100), 0.0)
    added = 0

    while not batch.full:
        batch.add(message(added), document(size=30, collection=str(added)))
        added += 1

    assert added == 27  # the first to reach what a batch may carry, eight chunks' bytes


def test_bad_messages_alone_make_a_batch_full_too() -> None:
    batch = Batch(ChunkLimits(bytes=100), 0.0)

    while not batch.full:
        batch.add(message(), BadMessage(Reason.UNDECODABLE, "no"))

    assert len(batch.rejected) == 400  # of two bytes each


def test_large_keys_and_headers_make_a_batch_full_as_they_stay_in_memory() -> None:
    limits = ChunkLimits(bytes=1_000)
    batch = Batch(limits, 0.0)

    batch.add(Message("t", 0, 0, 0.0, b"k" * 5_000, b"", [("h", None), ("h", b"v" * 3_000)]), None)

    assert batch.full


def test_a_batch_is_due_when_its_first_message_is_old_enough() -> None:
    batch = Batch(ChunkLimits(age=2.0), opened_at=10.0)
    assert not batch.due(99.0)  # nothing in it

    batch.add(message(), document())

    assert not batch.due(11.9)
    assert batch.due_in(11.5) == pytest.approx(0.5)
    assert batch.due(12.0)


def test_positions_name_the_next_message_of_each_partition() -> None:
    batch = Batch(ChunkLimits(), 0.0)

    for offset, partition in ((4, 0), (9, 1), (5, 0)):
        batch.add(message(offset, partition), None)

    assert batch.positions == {0: Position("topic", 0, 6), 1: Position("topic", 1, 10)}
    assert batch.tombstones == 3


def test_a_rate_limit_lets_through_what_the_rate_says() -> None:
    limiter = RateLimiter(10.0, now=0.0)

    assert limiter.allowance(0.0, 100) == 10
    limiter.spend(10)
    assert limiter.allowance(0.05, 100) == 0
    assert limiter.allowance(0.55, 100) == 5
    assert limiter.allowance(60.0, 100) == 10  # no saving up beyond a second's worth
    assert RateLimiter(None, 0.0).allowance(0.0, 100) == 100


def test_a_rate_below_one_a_second_is_not_a_standstill() -> None:
    limiter = RateLimiter(0.5, now=0.0)

    assert limiter.allowance(0.0, 10) == 0
    assert limiter.allowance(2.0, 10) == 1


def test_an_interval_is_due_at_once_and_then_again_when_its_time_has_passed() -> None:
    interval = Interval(5.0)
    assert interval.is_due(0.0)

    interval.restart(10.0)

    assert not interval.is_due(14.9)
    assert interval.is_due(15.0)


def test_a_request_to_stop_leaves_the_grace_but_for_its_reserve_from_the_first_time_on() -> None:
    clock = Clock()
    request = StopRequest(grace=30.0, reserve=2.0, clock=clock)
    assert not request.is_made
    assert request.deadline == math.inf
    assert request.finish_by() == 130.0  # if something has to be finished without a request

    request.make()
    clock.now += 10.0
    request.make()

    assert request.made.is_set()
    assert request.deadline == request.finish_by() == 128.0


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_stay_within_their_bounds(attempt: int, chance: float) -> None:
    assert 0.05 <= pause_before(attempt, lambda: chance) <= 10.0


def test_pauses_double() -> None:
    assert [pause_before(attempt, lambda: 1.0) for attempt in (1, 2, 3, 9)] == [0.1, 0.2, 0.4, 10.0]


def test_an_outage_is_told_once_then_once_a_minute_then_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    outage = Outage("Store", clock)

    with caplog.at_level(logging.WARNING):
        for _ in range(130):
            outage.failed(OSError("refused"))
            clock.now += 1.0
        outage.succeeded()
        outage.succeeded()

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    assert lines[0] == "Store unavailable: refused. Waiting; nothing is lost."
    assert lines[1] == "Store still unavailable after 60 s: refused"
    assert lines[3] == "Store available again after 130.0 s."


def test_a_refused_login_is_an_error_and_stands_through_what_the_driver_says_in_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    outage = Outage("Store", clock)
    errors = [OSError("away"), StoreLoginRefused("wrong"), OSError("no server"), OSError("no server")]

    with caplog.at_level(logging.WARNING):
        for error in errors:
            outage.failed(error)
            clock.now += 25.0
        refused = outage.refused
        clock.now += 50.0
        outage.failed(OSError("away"))

    assert refused == (75.0, "wrong")
    assert outage.refused is None
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Store unavailable: away. Waiting; nothing is lost."),
        ("ERROR", "Store still unavailable after 25 s: wrong"),
        ("WARNING", "Store still unavailable after 150 s: away"),
    ]


@pytest.mark.parametrize("max_wait", [0.0, 5.0, 12.0])
def test_a_login_that_is_refused_all_the_time_ends_the_retrying_after_its_time(max_wait: float) -> None:
    clock = Clock()
    retry = RetryPolicy(auth_max_wait=max_wait, clock=clock, random=lambda: 0.0)
    began = clock.now
    errors: Iterator[Exception] = itertools.cycle([AccessDenied("wrong"), OSError("no server")])

    def attempt() -> None:
        clock.now += 1.0
        raise next(errors)

    with pytest.raises(AccessRefused, match="wrong"):
        retry.call(attempt, retry.outage("It"), AccessDenied, OSError)

    assert max_wait <= clock.now - began <= max_wait + 2.0


def test_an_outage_never_ends_the_retrying_by_the_time_for_refused_logins() -> None:
    clock, fails = Clock(), iter([OSError("away")] * 4 + [None])
    retry = RetryPolicy(auth_max_wait=1.0, clock=clock, random=lambda: 0.0)

    def attempt() -> str:
        clock.now += 3_600.0
        if error := next(fails):
            raise error
        return "done"

    assert retry.call(attempt, retry.outage("It"), OSError) == "done"


def test_retrying_without_an_end_tries_until_it_works() -> None:
    clock, fails = Clock(), iter([OSError(), OSError(), None])
    retry = RetryPolicy(clock=clock, random=lambda: 0.0)

    def attempt() -> str:
        if error := next(fails):
            raise error
        return "done"

    assert retry.call(attempt, retry.outage("It"), OSError) == "done"


def test_retrying_ends_within_its_time_when_a_try_takes_long() -> None:
    clock = Clock()
    retry = RetryPolicy(max_wait=12.0, clock=clock, random=lambda: 0.0)

    def attempt() -> None:
        clock.now += 5.0
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011  (the very error is raised again)
        retry.call(attempt, retry.outage("It"), OSError)

    assert clock.now <= 112.0


def test_retrying_can_be_cancelled() -> None:
    retry = RetryPolicy()
    retry.cancelled.set()

    with pytest.raises(OSError, match="refused"):
        retry.call(_refuse, retry.outage("It"), OSError)


def _refuse() -> None:
    raise OSError("refused")


def test_what_a_failed_try_leaves_in_a_cycle_is_gone_before_the_next() -> None:
    """Sockets are left so, and an outage of hours sees many tries."""

    class Connection:
        def __init__(self) -> None:
            self.itself = self

    earlier: list[weakref.ref[Connection]] = []
    alive: list[int] = []

    def attempt() -> None:
        alive.append(sum(connection() is not None for connection in earlier))
        earlier.append(weakref.ref(Connection()))
        if len(earlier) < 3:
            raise TimeoutError

    retry = RetryPolicy(random=lambda: 0.0)
    gc.disable()
    try:
        retry.call(attempt, retry.outage("It"), TimeoutError)
    finally:
        gc.enable()

    assert alive == [0, 0, 0]
