"""What every platform promises to those who loop over a consumer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import Consumer, Position, Producer
from estela_queue_adapter.errors import ConsumerClosed, SerializationError

Reader = Callable[..., Consumer]
IDLE = 60.0  # seconds for which what must come is waited for


def send_numbers(producer: Producer, topic: str, numbers: range) -> None:
    for number in numbers:
        producer.send(topic, number, key=b"one partition")
    producer.flush()


def interrupted_at(number: int, consumer: Consumer) -> None:
    for message in consumer:
        if message.value == number:
            raise KeyboardInterrupt


class Loop:
    """A loop on a thread of its own. The body of the message that holds `held` ends when it may."""

    def __init__(self, consumer: Consumer, held: Any = None) -> None:
        self.seen: list[Any] = []
        self.may_go_on = threading.Event()
        self._consumer = consumer
        self._held = held
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        for message in self._consumer:
            self.seen.append(message.value)
            if message.value == self._held:
                self.may_go_on.wait(60)

    def wait_for(self, value: Any) -> None:
        wait_until(lambda: value in self.seen, f"{value!r} in the loop")

    def end(self) -> None:
        """Close the consumer, which ends the loop."""
        self.may_go_on.set()
        self._consumer.close()
        self.thread.join(30)
        assert not self.thread.is_alive()


class LoopsContract:
    """Part of the platforms' contract, which gives the fixtures."""

    def test_however_a_loop_is_left_the_next_begins_with_the_message_it_was_left_at(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        send_numbers(producer, unique, range(8))
        producer.send(unique, b"not JSON", key=b"one partition")
        send_numbers(producer, unique, range(9, 20))
        consumer, loops = reader(idle_timeout=IDLE), []

        loops.append(seen := list[Any]())
        for message in consumer:
            seen.append(message.value)
            if len(seen) == 3:
                break
        with pytest.raises(KeyboardInterrupt):
            interrupted_at(4, consumer)
        with pytest.raises(ZeroDivisionError):
            any(1 // (message.value - 6) < -9 for message in consumer)
        loops.append([message.value for message in islice(consumer, 2)])
        with pytest.raises(SerializationError):
            any(message.value is None for message in consumer)
        consumer.close()
        rest = [message.offset for message in islice(reader(idle_timeout=IDLE), 12)]

        assert loops == [[0, 1, 2], [6, 7]]
        assert rest == list(range(8, 20))

    def test_what_is_done_is_committed_while_the_loop_works_or_waits(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        send_numbers(producer, unique, range(3))
        observer, loop = reader(), Loop(reader(), held=2)
        loop.wait_for(2)

        wait_until(lambda: observer.lag() == 1, "the commit of two, while the third is worked on")
        loop.may_go_on.set()
        wait_until(lambda: observer.lag() == 0, "the commit of the third, while the loop waits for a fourth")
        loop.end()

    def test_a_loop_does_not_end_by_itself_but_when_its_consumer_is_closed(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        consumer = reader(max_timeout=1.0)
        loop = Loop(consumer)
        loop.thread.join(2.5)
        assert loop.thread.is_alive()
        send_numbers(producer, unique, range(2))
        loop.wait_for(1)

        loop.end()

        assert loop.seen == [0, 1]
        consumer.close()
        for use in (
            lambda: iter(consumer),
            lambda: consumer.poll(0.1, 1),
            lambda: consumer.commit([Position(unique, 0, 1)]),
            consumer.positions,
            consumer.end_positions,
        ):
            with pytest.raises(ConsumerClosed, match=unique):
                use()

    def test_a_consumer_that_is_closed_in_the_body_hands_that_message_to_the_next(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        send_numbers(producer, unique, range(5))
        with reader() as consumer:
            seen = []
            for message in consumer:
                seen.append(message.value)
                if message.value == 2:
                    consumer.close()

        assert seen == [0, 1, 2]
        assert [message.value for message in islice(reader(idle_timeout=IDLE), 3)] == [2, 3, 4]

    def test_a_signal_handler_may_close_the_consumer_of_a_loop(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        send_numbers(producer, unique, range(5))
        consumer, seen = reader(), []
        before = signal.signal(signal.SIGALRM, lambda *_: consumer.close())
        try:
            for message in consumer:
                seen.append(message.value)
                if message.value == 4:
                    signal.setitimer(signal.ITIMER_REAL, 0.1)  # the loop waits for a sixth then
        finally:
            signal.signal(signal.SIGALRM, before)

        assert seen == [0, 1, 2, 3, 4]
        assert reader().lag() == 0

    def test_two_loops_at_once_share_the_messages_and_commit_nothing_that_one_of_them_still_has(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        send_numbers(producer, unique, range(10))
        consumer = reader()
        one, other = iter(consumer), iter(consumer)

        assert next(one).value == 0
        assert [next(other).value for _ in range(5)] == [1, 2, 3, 4, 5]
        consumer.close()

        assert [message.value for message in islice(reader(idle_timeout=IDLE), 10)] == list(range(10))

    def test_poll_and_positions_take_up_what_a_loop_has_left(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        send_numbers(producer, unique, range(10))
        consumer = reader()
        for message in consumer:
            if message.value == 2:
                break

        assert message.next._replace(offset=2) in list(consumer.positions())
        assert consumer.lag() == 8
        assert [message.value for message in consumer.poll(0.0, 3)] == [2, 3, 4]
        assert [message.value for message in islice(consumer, 3)] == [5, 6, 7]

    def test_a_dropped_iterator_gives_its_message_back_until_that_is_committed(
        self, producer: Producer, reader: Reader, unique: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        send_numbers(producer, unique, range(4))
        consumer = reader()
        messages = [next(iter(consumer)) for _ in range(3)]
        consumer.commit([messages[0].next])
        for _ in range(3):
            messages.append(next(iter(consumer)))
            consumer.commit([messages[-1].next])

        assert [message.value for message in messages] == [0, 0, 0, 1, 2, 3]
        [told] = [record.getMessage() for record in caplog.records if "loops in turn" in record.getMessage()]
        assert "partition" in told

    def test_a_pause_in_the_body_holds_the_loop(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        send_numbers(producer, unique, range(5))
        consumer, seen = reader(idle_timeout=0.3), list[Any]()

        def read(count: int) -> bool:
            for message in consumer:  # it may be idle before it has joined its group
                seen.append(message.value)
                if message.value == 1:
                    consumer.pause()
            return len(seen) >= count

        wait_until(lambda: read(2), "the message that pauses")
        held = list(seen)
        consumer.resume()
        wait_until(lambda: read(5), "the rest")

        assert held == [0, 1]
        assert seen == [0, 1, 2, 3, 4]
