"""kafka-python by its public interface alone keeps the contract of a platform."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar, NoReturn

import kafka
import pytest
from kafka import TopicPartition

from devservers.kafka import create_topic
from devservers.ports import free_port, wait_until
from estela_queue_adapter import Consumer, Message, Platform, Position, Subscription, open_platform
from estela_queue_adapter.errors import PermanentError, QueueUnreachable
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.platforms.kafka.interface.public import PublicReader
from estela_queue_adapter.platforms.kafka.kafka_python import consumer as consumer_module
from estela_queue_adapter.platforms.kafka.kafka_python.consumer import KafkaGroupConsumer
from tests.adapter.contract import PlatformContract, take
from tests.adapter.kafka.test_kafka import Member


@pytest.fixture
def arguments(kafka: str) -> dict[str, Any]:
    return {"platform": "kafka", "listeners": kafka, "public_interface": True}


@pytest.fixture
def platform(arguments: dict[str, Any]) -> Platform:
    return open_platform(**arguments)


def poll_for_ever(consumer: Consumer) -> NoReturn:
    while True:
        consumer.poll(0.5, 10)


class TestPublicInterface(PlatformContract):
    notices: ClassVar = [
        f"kafka-python {kafka.__version__} is used by its public interface alone, which is slower and "
        "knows less of outages: QUEUE_PLATFORM_PUBLIC_INTERFACE is set. Unset it when you have seen enough."
    ]

    def travelled(self, headers: Headers) -> list[tuple[str, bytes | None]]:
        """A missing value comes as an empty one, and what is not UTF-8 in a name as escapes."""
        return [
            (name.encode(errors="surrogateescape").decode(errors="backslashreplace"), value or b"")
            for name, value in headers
        ]


def test_what_it_cannot_read_ends_the_reader_with_what_to_do(
    kafka: str, platform: Platform, unique: str
) -> None:
    with open_platform(platform="kafka", listeners=kafka).producer() as producer:
        producer.send(unique, "not read", headers=[("\udce9", b"")])
        producer.flush()

    with (
        platform.consumer(Subscription(topic=unique)) as consumer,
        pytest.raises(PermanentError, match=r"cannot read what a broker sent.*compatibility\.md"),
    ):
        poll_for_ever(consumer)


def test_a_header_without_a_value_is_read_as_it_is(kafka: str, platform: Platform, unique: str) -> None:
    with open_platform(platform="kafka", listeners=kafka).producer() as producer:
        producer.send(unique, 1, headers=[("none", None)])
        producer.flush()

    with platform.consumer(Subscription(topic=unique)) as consumer:
        [message] = take(consumer, 1)

    assert message.headers == (("none", None),)


def test_partitions_that_come_back_in_a_rebalance_are_read_from_what_is_committed(
    kafka: str, platform: Platform, unique: str
) -> None:
    create_topic(kafka, unique, 2)
    with platform.producer() as producer:
        for number in range(20):
            producer.send(unique, number, key=b"%d" % number)
        producer.flush()
    first = platform.consumer(Subscription(topic=unique))
    read = take(first, 20)
    committed = {message.partition: message.next for message in read[:5]}
    first.commit(committed.values())

    second = Member(platform, unique)  # takes one of the partitions away, and leaves the other
    again: list[Message] = []

    def poll() -> int:
        again.extend(first.poll(0.2, 100))
        return len(again)

    wait_until(lambda: poll() > 0 and bool(second.owned), "a rebalance")
    second.close()
    wait_until(lambda: poll() + len(second.read) >= 15, "the rest")
    first.close()

    uncommitted = {message.value for message in read[5:]}
    assert {message.value for message in again + second.read} >= uncommitted


def test_a_client_that_forgot_its_join_is_replaced(platform: Platform, unique: str) -> None:
    """The fault itself is kafka-python 3.0's, and too rare to wait for: only the time is made to pass."""
    with platform.producer() as producer, platform.consumer(Subscription(topic=unique)) as consumer:
        assert isinstance(consumer, KafkaGroupConsumer)
        producer.send(unique, 0)
        producer.flush()
        [message] = take(consumer, 1)
        consumer.commit([message.next])
        before, reader = consumer._client, consumer._reader
        assert reader is not None
        assert not reader.is_stuck()
        reader._joining_since = time.monotonic() - 61

        assert consumer.poll(0.5, 10) == []
        producer.send(unique, 1)
        producer.flush()

        assert [message.value for message in take(consumer, 1)] == [1]
        assert consumer._client is not before


class Assigned:
    """As much of a client as says what it is assigned."""

    def __init__(self, *partitions: TopicPartition) -> None:
        self._partitions = set(partitions)

    def assignment(self) -> set[TopicPartition]:
        return self._partitions


@pytest.mark.parametrize(("revoked", "joining"), [((0, 1), True), ((), False), ((2,), False)])
def test_only_who_gives_up_all_of_its_partitions_is_joining(revoked: tuple[int, ...], joining: bool) -> None:
    reader = PublicReader(Assigned(TopicPartition("t", 0), TopicPartition("t", 1)))

    reader.revoked([TopicPartition("t", number) for number in revoked])
    assert (reader._joining_since is not None) is joining
    reader.assigned([])
    assert reader._joining_since is None


def test_a_topic_without_permission_or_brokers_is_told_after_a_silence(
    platform: Platform, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "_SILENCE", 0.5)
    with platform.producer() as producer, platform.consumer(Subscription(topic=unique)) as consumer:
        assert isinstance(consumer, KafkaGroupConsumer)
        producer.send(unique, 0)
        producer.flush()
        [message] = take(consumer, 1)
        consumer.commit([message.next])

        def unreachable() -> list[Position]:
            raise QueueUnreachable("asked")

        monkeypatch.setattr(consumer, "end_positions", unreachable)
        with pytest.raises(QueueUnreachable, match="asked"):
            poll_for_ever(consumer)


def test_brokers_that_are_away_are_named_and_leave_no_threads_behind() -> None:
    port = free_port()
    platform = open_platform(platform="kafka", listeners=f"127.0.0.1:{port}", public_interface=True)
    before = threading.active_count()
    with platform.consumer(Subscription(topic="t")) as consumer:
        for _ in range(3):
            with pytest.raises(QueueUnreachable, match="it refuses the connection; nothing listens there"):
                consumer.poll(0.1, 1)

    assert threading.active_count() == before
