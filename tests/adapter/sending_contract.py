"""What every platform promises of messages that are sent together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from devservers.ports import wait_until
from estela_queue_adapter import Platform, Producer
from estela_queue_adapter.errors import DeliveryError, ProducerClosed, QueueError
from tests.adapter.loops_contract import Reader


class Item(NamedTuple):
    topic: str
    data: bytes


class Told:
    """What was told of each message."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[bytes, type]] = []

    def __call__(self, messages: Sequence[Item], error: QueueError | None) -> None:
        self.outcomes += [(message.data, type(error)) for message in messages]


def items(topic: str, *numbers: int) -> list[Item]:
    return [Item(topic, b"%d" % number) for number in numbers]


class SendingContract:
    """Part of the platforms' contract, which gives the fixtures."""

    def test_messages_that_are_sent_together_arrive_and_are_told_of_once(
        self, platform: Platform, producer: Producer, reader: Reader, unique: str
    ) -> None:
        """To two topics in turns, which nobody knows the first time."""
        told, other = Told(), f"{unique}-b"
        numbers = range(300)
        mixed = [Item(unique if number % 3 else other, b"%d" % number) for number in numbers]

        for _ in range(2):
            producer.send_all(mixed, told)
            producer.flush()
        producer.send_all([], told)

        expected = sorted((each.data, type(None)) for each in 2 * mixed)
        assert sorted(told.outcomes, key=str) == sorted(expected, key=str)
        for topic in (unique, other):
            sent = [each.data for each in mixed if each.topic == topic]
            found = [each.data or b"" for each in islice(reader(topic, idle_timeout=10), 2 * len(sent))]
            assert sorted(found) == sorted(2 * sent)

    def test_what_is_sent_together_to_a_closed_producer_is_told(
        self, platform: Platform, unique: str
    ) -> None:
        producer, told = platform.producer(), Told()
        producer.send_all(items(unique, 1), told)
        producer.close()

        producer.send_all(items(unique, 2, 3), told)

        assert told.outcomes == [(b"1", type(None)), (b"2", ProducerClosed), (b"3", ProducerClosed)]

    def test_a_close_that_does_not_wait_tells_of_all_that_was_sent_together(
        self, platform: Platform, unique: str
    ) -> None:
        producer, told = platform.producer(), Told()
        producer.send_all(items(unique, 0), told)
        producer.flush()

        for start in range(0, 10_000, 500):
            producer.send_all(items(unique, *range(start, start + 500)), told)
        with contextlib.suppress(DeliveryError):  # it may be that fast
            producer.close(0.0)

        wait_until(lambda: len(told.outcomes) == 10_001, "what became of each message", 20)
        assert {outcome for _, outcome in told.outcomes} <= {ProducerClosed, type(None)}

    def test_a_producer_that_is_closed_meanwhile_loses_nothing_that_it_took(
        self, platform: Platform, reader: Reader, unique: str
    ) -> None:
        """Given one message after the other to one thread, which another thread ends."""
        producer, told = platform.producer(), Told()

        def send() -> None:
            for start in range(0, 1_000_000, 100):
                producer.send_all(items(unique, *range(start, start + 100)), told)
                if told.outcomes and told.outcomes[-1][1] is ProducerClosed:
                    return

        thread = threading.Thread(target=send)
        thread.start()
        wait_until(lambda: len(told.outcomes) > 1_000, "messages")
        producer.close()
        thread.join(60)
        assert not thread.is_alive()

        taken = [data for data, outcome in told.outcomes if outcome is type(None)]
        found = [each.data or b"" for each in islice(reader(idle_timeout=10), len(taken))]
        assert sorted(found) == sorted(taken)
