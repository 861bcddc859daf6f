"""The health of queue and outbox, with a clock that goes as the test says."""

from __future__ import annotations

import pytest

from estela_queue_adapter.errors import QueueUnreachable, TopicDenied, TopicMissing
from estela_scrapy.delivery.health import ClosedTopics, OutboxHealth, QueueHealth
from estela_scrapy.delivery.outbox import OutboxError


class Clock:
    """Seconds that pass only if told so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> QueueHealth:
    return QueueHealth(clock)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_an_outage_is_one_line_at_its_begin_and_one_at_its_end_with_its_length(
    health: QueueHealth, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert not health.unavailable

    health.failed(QueueUnreachable("no broker"))
    clock.now += 2
    health.failed(QueueUnreachable("another reason"))
    assert health.unavailable
    clock.now += 1.25
    health.acknowledged()
    health.acknowledged()

    assert not health.unavailable
    assert lines(caplog) == [
        "Queue unavailable: no broker. The crawl goes on; its messages wait.",
        "Queue available again after 3.2 s.",
    ]


def test_a_queue_that_acknowledges_nothing_for_more_than_five_seconds_is_unavailable(
    health: QueueHealth, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.now += 5
    health.check_silence(in_flight=1)
    assert not health.unavailable

    clock.now += 0.1
    health.check_silence(in_flight=1)

    assert health.unavailable
    assert "it has acknowledged nothing for 5 s." in caplog.text


def test_silence_is_counted_from_the_last_answer_or_from_when_nothing_was_in_flight(
    health: QueueHealth, clock: Clock
) -> None:
    clock.now += 100
    health.check_silence(in_flight=0)
    clock.now += 4
    health.check_silence(in_flight=1)
    health.acknowledged()
    clock.now += 4
    health.check_silence(in_flight=1)

    assert not health.unavailable


def test_silence_is_explained_by_what_the_producer_said_since_the_last_answer(
    health: QueueHealth, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Given two outages, of which only the first came with a reason."""
    for reason in ("leader not available", ""):
        if reason:
            health.not_acknowledged(QueueUnreachable(reason))
        clock.now += 6
        health.check_silence(in_flight=1)
        health.acknowledged()

    first, second = [line for line in lines(caplog) if "unavailable" in line]
    assert "for 5 s (leader not available)" in first
    assert "for 5 s." in second


def test_the_pause_doubles_with_each_failed_round_and_starts_again_after_an_answer(
    health: QueueHealth,
) -> None:
    pauses = [health.pause_after_failed_round() for _ in range(10)]
    health.acknowledged()

    assert all(0.05 * 2**n <= pause <= 0.1 * 2**n for n, pause in enumerate(pauses[:6]))
    assert 5 <= pauses[-1] <= 10
    assert health.pause_after_failed_round() <= 0.1


def test_after_the_end_no_outage_begins_but_one_that_was_logged_may_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    quiet, loud = QueueHealth(clock), QueueHealth(clock)
    loud.failed(QueueUnreachable("gone"))
    for health in (quiet, loud):
        health.close()
        health.failed(QueueUnreachable("too late"))
        health.acknowledged()

    assert lines(caplog) == [
        "Queue unavailable: gone. The crawl goes on; its messages wait.",
        "Queue available again after 0.0 s.",
    ]


def test_a_closed_topic_is_tried_again_after_a_minute(clock: Clock) -> None:
    topics, denied, missing = ClosedTopics(clock), TopicDenied("denied"), TopicMissing("missing")
    topics.close("a", denied)
    clock.now += 30
    topics.close("b", missing)
    assert topics.errors() == {"a": denied, "b": missing}

    clock.now += 31

    assert topics.errors() == {"b": missing}


def test_an_outbox_that_fails_one_thread_and_not_the_other_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Given a full disk, which the sender meets with each try while the spiller has nothing to write."""
    health = OutboxHealth()
    for _ in range(5):
        health.failed("sender", OutboxError("the disk is full"))
        health.worked("spiller")

    assert len(lines(caplog)) == 1
    health.worked("sender")
    health.failed("spiller", OutboxError("the disk is full again"))
    assert len(lines(caplog)) == 2
