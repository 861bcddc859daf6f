"""Loops over a Kafka consumer whose partitions move."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from devservers.kafka import create_topic
from devservers.ports import wait_until
from estela_queue_adapter import (
    Consumer,
    Message,
    Platform,
    Subscription,
    get_producer_interface,
    open_platform,
)
from tests.adapter.contract import take
from tests.adapter.loops_contract import Loop, send_numbers


@pytest.fixture(params=["kafka-python", "librdkafka"])
def arguments(kafka: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"platform": "kafka", "listeners": kafka, "client": request.param}


@pytest.fixture
def platform(arguments: dict[str, Any]) -> Platform:
    return open_platform(**arguments)


def consumer(platform: Platform, topic: str, max_timeout: float | None = None) -> Consumer:
    return platform.consumer(Subscription(topic=topic, max_timeout=max_timeout))


class SlowLoop:
    """A loop on a thread of its own, of a member that comes and goes; its body takes a moment."""

    def __init__(self, consumer: Consumer, seconds: float) -> None:
        self.seen: list[int] = []
        self.consumer = consumer
        self._seconds = seconds
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for message in self.consumer:
            self._pause.wait(self._seconds)
            self.seen.append(message.value)

    def end(self) -> None:
        self.consumer.close()
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_members_that_come_and_go_in_the_middle_of_their_loops_lose_nothing(
    kafka: str, platform: Platform, unique: str
) -> None:
    create_topic(kafka, unique, 4)
    with platform.producer() as producer:
        for number in range(800):
            producer.send(unique, number, key=str(number).encode())
    first = SlowLoop(consumer(platform, unique), 0.01)
    wait_until(lambda: len(first.seen) > 20, "the first member's messages")

    second = SlowLoop(consumer(platform, unique), 0.01)
    wait_until(lambda: len(second.seen) > 20, "the second member's messages")
    first.end()
    third = SlowLoop(consumer(platform, unique), 0.0)
    wait_until(lambda: len({*first.seen, *second.seen, *third.seen}) == 800, "all messages")
    second.end()
    third.end()

    # When members come and go in good order, only what was in their hands is handed out again.
    assert len(first.seen + second.seen + third.seen) < 800 + 40
    with platform.consumer(Subscription(topic=unique)) as after:
        assert after.lag() <= 1


def test_a_reader_whose_body_outlasts_max_timeout_loses_its_partitions_and_what_it_had_fetched(
    arguments: dict[str, Any], platform: Platform, unique: str
) -> None:
    with get_producer_interface(**arguments) as producer:
        send_numbers(producer, unique, range(5))
        slow = Loop(consumer(platform, unique, max_timeout=3.0), held=1)
        slow.wait_for(1)

        other = Loop(consumer(platform, unique))
        other.wait_for(4)
        slow.may_go_on.set()
        send_numbers(producer, unique, range(5, 6))
        wait_until(lambda: 5 in slow.seen + other.seen, "the last message")
        slow.end()
        other.end()

    assert [value for value in slow.seen if value != 5] == [0, 1]  # 0 was committed meanwhile
    assert [value for value in other.seen if value != 5] == [1, 2, 3, 4]


def test_a_partition_that_is_taken_away_and_comes_back_is_read_from_the_committed_position(
    kafka: str, platform: Platform, unique: str
) -> None:
    create_topic(kafka, unique, 4)
    with platform.producer() as producer:
        for number in range(40):
            producer.send(unique, number, key=str(number).encode())
    first, second = consumer(platform, unique), consumer(platform, unique)
    take(first, 40)  # and commits none of them

    again: list[Message] = []
    taken: list[Message] = []
    over = threading.Event()

    def go_on() -> None:  # a member that does not poll would hold up the next rebalance
        while not over.is_set():
            taken.extend(second.poll(0.5, 1000))

    def read_again() -> set[int]:
        again.extend(first.poll(0.5, 1000))
        return {message.partition for message in again if message.offset == 0}

    joining = threading.Thread(target=go_on, daemon=True)
    joining.start()
    try:
        wait_until(lambda: len(read_again()) >= 2 and bool(taken), "each of the two members")
    finally:
        over.set()
        joining.join(30)
        first.close()
        second.close()

    # It had all four partitions before, and has two of them again.
    first_offsets = {message.partition: message.offset for message in reversed(again)}
    assert set(first_offsets.values()) == {0}
