"""What every platform promises, as one suite."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import (
    Consumer,
    Message,
    PartitionListener,
    Platform,
    Position,
    Producer,
    Subscription,
)
from estela_queue_adapter.errors import PermanentError, QueueError, SerializationError, TopicMissing
from tests.adapter.administration_contract import AdministrationContract
from tests.adapter.loops_contract import LoopsContract, Reader
from tests.adapter.sending_contract import SendingContract
from tests.adapter.shutdown_contract import ShutdownContract
from tests.adapter.transactions_contract import TransactionsContract
from tests.adapter.watching_contract import WatchingContract


def take(consumer: Consumer, count: int) -> list[Message]:
    """Poll until `count` messages came."""
    messages: list[Message] = []

    def enough() -> bool:
        messages.extend(consumer.poll(0.5, count - len(messages)))
        return len(messages) >= count

    wait_until(enough, f"{count} messages")
    return messages


class PlatformContract(
    AdministrationContract,
    LoopsContract,
    SendingContract,
    ShutdownContract,
    TransactionsContract,
    WatchingContract,
):
    """A platform's test class gives the fixture `platform`: that is all, if the queue lives in one process.

    Other queues also give `arguments`, those of `open_platform` that open the same queue in another process.
    What a platform does not have is declared, and its tests are skipped with that reason.
    """

    reached_by_processes: ClassVar[bool] = True
    """Whether other processes reach the queue; False skips what needs them."""
    has_transactions: ClassVar[bool] = True
    """Whether `Platform.transactions` works; False skips what needs it, once it has said so clearly."""

    has_administration: ClassVar[bool] = True
    """Whether `Platform.administration` works; False skips what needs it, once it has said so clearly."""

    @pytest.fixture
    def unique(self) -> str:
        """A topic that no other test uses."""
        return f"t{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    def elsewhere(self, platform: Platform, request: pytest.FixtureRequest) -> dict[str, Any]:
        """The arguments that open the queue of `platform` in another process."""
        if not self.reached_by_processes:
            pytest.skip("declared: no other process reaches this queue")
        arguments: dict[str, Any] = request.getfixturevalue("arguments")
        return arguments

    @pytest.fixture
    def transactional(self, platform: Platform) -> Platform:
        """The platform, if it has transactions."""
        if not self.has_transactions:
            with pytest.raises(PermanentError, match="no transactions"):
                platform.transactions("any")
            pytest.skip("declared: this platform has no transactions")
        return platform

    @pytest.fixture
    def operated(self, platform: Platform) -> Platform:
        """The platform, if it has an administration."""
        if not self.has_administration:
            with pytest.raises(PermanentError, match="does not tell of its topics and groups"):
                platform.administration()
            pytest.skip("declared: this platform has no administration")
        return platform

    @pytest.fixture
    def producer(self, platform: Platform) -> Iterator[Producer]:
        with platform.producer() as producer:
            yield producer

    @pytest.fixture
    def reader(self, platform: Platform, unique: str) -> Iterator[Reader]:
        """Opens consumers, of this test's topic where none is named, and closes them at the end."""
        with ExitStack() as stack:

            def read(
                topic: str = unique,
                group: str = "",
                max_timeout: float | None = None,
                idle_timeout: float | None = None,
                listener: PartitionListener | None = None,
            ) -> Consumer:
                subscription = Subscription(
                    topic=topic, group=group, max_timeout=max_timeout, idle_timeout=idle_timeout
                )
                return stack.enter_context(platform.consumer(subscription, listener))

            yield read

    def test_values_come_back_as_they_were_sent(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        value = {"name": "John", "n": [1, 2.5, None, True, "ünï"]}
        producer.send(unique, value)
        producer.flush()

        [message] = take(reader(), 1)

        assert message.value == value
        assert message.topic == unique
        assert message.timestamp == pytest.approx(time.time(), abs=120)

    def test_a_value_that_json_has_no_word_for_is_sent_as_what_it_stands_for(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        odd = {"fingerprint": b"\x12", "took": timedelta(seconds=2), 3: Path("a"), "error": ValueError("x")}
        producer.send(unique, {"payload": odd, "none": None})
        producer.flush()

        [message] = take(reader(), 1)

        sent = {"fingerprint": "\x12", "took": 2.0, "3": "a", "error": "x"}
        assert message.value == {"payload": sent, "none": None}

    def test_bytes_travel_as_they_are_with_key_and_headers(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        latin = b"soci\xe9t\xe9".decode(errors="surrogateescape")
        headers = [("reason", b"\x00\xff"), ("reason", b"twice"), ("", b""), ("none", None), (latin, b"x")]
        producer.send(unique, b"rubbish \xff\x00", key=b"k\x01", headers=headers)
        producer.flush()

        [message] = take(reader(), 1)

        assert (message.data, message.key, list(message.headers)) == (
            b"rubbish \xff\x00",
            b"k\x01",
            self.travelled(headers),
        )
        with pytest.raises(SerializationError):
            _ = message.value

    def test_messages_of_a_partition_keep_their_order(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        for number in range(1000):
            producer.send(unique, number, key=b"one partition")
        producer.flush()

        assert [message.value for message in take(reader(), 1000)] == list(range(1000))

    def test_what_is_not_committed_is_delivered_again_and_what_is_committed_is_not(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        for number in range(10):
            producer.send(unique, number, key=b"one partition")
        producer.flush()
        first = reader()
        messages = take(first, 10)
        first.commit([messages[3].next])
        first.close()

        again = take(reader(), 6)

        assert [message.value for message in again] == [4, 5, 6, 7, 8, 9]

    def test_a_position_survives_in_its_group_and_groups_are_independent(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        producer.send(unique, "one")
        producer.flush()
        first = reader(group="a")
        first.commit([take(first, 1)[0].next])
        first.close()
        producer.send(unique, "two")
        producer.flush()

        assert [message.value for message in take(reader(group="a"), 1)] == ["two"]
        assert {message.value for message in take(reader(group="b"), 2)} == {"one", "two"}

    def test_iteration_commits_a_message_when_the_next_is_asked_for(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        for number in range(3):
            producer.send(unique, number, key=b"one partition")
        producer.flush()
        first = reader()
        for message in first:
            if message.value == 1:
                break  # its body has not run to the end
        first.close()

        second, rest = reader(idle_timeout=0.5), list[Any]()

        def has_all() -> bool:
            rest.extend(message.value for message in second)  # or it is idle before it has joined its group
            return len(rest) >= 2

        wait_until(has_all, "the rest")
        second.close()
        assert rest == [1, 2]
        assert reader().lag() == 0

    def test_a_loop_ends_after_idle_timeout_without_a_message(self, reader: Reader) -> None:
        assert list(reader(idle_timeout=0.2)) == []

    def test_a_paused_reader_gets_nothing_and_misses_nothing(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        producer.send(unique, 0, key=b"one partition")
        producer.flush()
        consumer = reader()
        take(consumer, 1)
        for number in range(1, 5):
            producer.send(unique, number, key=b"one partition")
        producer.flush()

        consumer.pause()
        paused = [consumer.poll(0.2, 10) for _ in range(3)]
        consumer.resume()

        assert [list(messages) for messages in paused] == [[], [], []]
        assert [message.value for message in take(consumer, 4)] == [1, 2, 3, 4]

    def test_positions_ends_and_lag_say_where_the_group_stands(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        for number in range(10):
            producer.send(unique, number, key=b"one partition")
        producer.flush()
        before, consumer = reader(), reader(group="other")

        assert before.lag() == 10
        messages = take(consumer, 4)
        consumer.commit([messages[-1].next])

        assert consumer.lag() == 6
        [partition] = {message.partition for message in messages}
        assert Position(unique, partition, 4) in list(consumer.positions())
        assert Position(unique, partition, 10) in list(consumer.end_positions())

    def test_a_peek_tells_when_the_message_at_a_position_was_published(
        self, platform: Platform, producer: Producer, reader: Reader, unique: str
    ) -> None:
        for number in range(3):
            producer.send(unique, number, key=b"one partition")
            producer.flush()
            time.sleep(0.02)
        messages = take(reader(), 3)
        [partition] = {message.partition for message in messages}

        with platform.peek(unique) as peek:
            for message in (messages[1], messages[2], messages[0], messages[1]):
                at = Position(unique, partition, message.offset)
                assert peek.times([at]) == {partition: message.timestamp}
            assert peek.times([messages[2].next]) == {}

            producer.send(unique, "later", key=b"one partition")
            producer.flush()
            [later] = take(reader(group="other"), 4)[3:]
            assert peek.times([messages[2].next]) == {partition: later.timestamp}

    def test_a_topic_that_does_not_exist_has_no_positions_and_reading_does_not_create_it(
        self, reader: Reader, unique: str
    ) -> None:
        consumer = reader()

        for _ in range(2):
            with pytest.raises(TopicMissing, match=unique):
                consumer.end_positions()
            with pytest.raises(TopicMissing):
                consumer.positions()
            assert list(consumer.poll(0.5, 1)) == []

    def test_a_topic_that_appears_later_is_read(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        consumer = reader()
        assert list(consumer.poll(0.5, 1)) == []

        producer.send(unique, "at last")
        producer.flush()

        assert [message.value for message in take(consumer, 1)] == ["at last"]

    def test_delivery_is_reported_once_for_each_message(self, producer: Producer, unique: str) -> None:
        reports: list[QueueError | None] = []

        for number in range(50):
            producer.send(unique, number, on_delivery=reports.append)
        producer.flush()

        assert reports == [None] * 50

    def test_a_value_that_cannot_be_written_is_refused_at_once(self, producer: Producer, unique: str) -> None:
        value: dict[str, Any] = {}
        value["self"] = value

        with pytest.raises(SerializationError, match="self: contains itself"):
            producer.send(unique, value)

    def test_connecting_early_is_possible(self, producer: Producer, reader: Reader) -> None:
        assert producer.get_connection() is True
        assert reader().get_connection() is True

    def test_the_listener_is_told_what_the_reader_owns(
        self, producer: Producer, reader: Reader, unique: str
    ) -> None:
        owned: set[int] = set()

        class Listener(PartitionListener):
            def partitions_assigned(self, partitions: Collection[int]) -> None:
                owned.update(partitions)

        producer.send(unique, 1)
        producer.flush()

        [message] = take(reader(listener=Listener()), 1)

        assert message.partition in owned

    @pytest.mark.parametrize("how", ["terminate", "kill"])
    def test_the_next_reader_takes_over_when_the_first_ends_or_is_killed(
        self, producer: Producer, reader: Reader, unique: str, elsewhere: dict[str, Any], how: str
    ) -> None:
        producer.send(unique, "first", key=b"one partition")
        producer.flush()
        program = textwrap.dedent(f"""
            import signal, sys, time
            from estela_queue_adapter import get_consumer_interface
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())
            with get_consumer_interface(topic={unique!r}, **{elsewhere!r}) as consumer:
                for message in consumer:
                    print("has it", flush=True)
                    while True:  # a signal just before `signal.pause` would not end that
                        time.sleep(0.1)
        """)
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"has it\n"

        second = reader()
        waiting = threading.Event()
        taken: list[Message] = []

        def read() -> None:
            waiting.set()
            taken.extend(take(second, 1))

        thread = threading.Thread(target=read)
        thread.start()
        waiting.wait()
        getattr(process, how)()
        process.wait()
        process.stdout.close()
        thread.join(60)

        assert [message.value for message in taken] == ["first"]  # it was never committed
