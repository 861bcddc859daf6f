from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from typing import Any

import pytest

from devservers.kafka import create_topic, delete_records
from devservers.ports import wait_until
from estela_queue_adapter import (
    Message,
    PartitionListener,
    Platform,
    Position,
    Producer,
    Subscription,
    get_producer_interface,
    open_platform,
)
from estela_queue_adapter.errors import DeliveryError, MessageRejected, QueueError
from estela_queue_adapter.platforms.kafka.connections import connections
from estela_queue_adapter.platforms.kafka.producer import IdempotentProducer
from estela_queue_adapter.platforms.kafka.producer_client import Record
from tests.adapter.contract import PlatformContract, take
from tests.adapter.loops_contract import Reader
from tests.adapter.sending_contract import Item, Told


@pytest.fixture
def arguments(kafka: str) -> dict[str, Any]:
    return {"platform": "kafka", "listeners": kafka}


@pytest.fixture
def platform(arguments: dict[str, Any]) -> Platform:
    return open_platform(**arguments)


class Member(PartitionListener):
    """Reads on a thread of its own, and commits what it has read when its partitions move."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self.consumer = platform.consumer(Subscription(topic=topic), self)
        self.read: list[Message] = []
        self.owned: set[int] = set()
        self.commits_in_revocation = 0
        self._stop = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def partitions_assigned(self, partitions: Collection[int]) -> None:
        self.owned |= set(partitions)

    def partitions_revoked(self, partitions: Collection[int]) -> None:
        if not self._closing:
            self._commit()
            self.commits_in_revocation += 1
        self.owned -= set(partitions)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self._commit()
        self._closing = True
        self.consumer.close()

    def _commit(self) -> None:
        reached = {message.partition: message.next for message in self.read}
        self.consumer.commit(position for partition, position in reached.items() if partition in self.owned)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.read.extend(self.consumer.poll(0.2, 100))


class Gaps(PartitionListener):
    """Notes what is told of messages that are gone."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, int]] = []

    def messages_gone(self, partition: int, position: int, resumed: int) -> None:
        self.told.append((partition, position, resumed))


class KafkaContract(PlatformContract):
    """What both clients promise beyond what every platform does."""

    def test_partitions_move_with_everything_committed_that_was_read(
        self, kafka: str, platform: Platform, producer: Producer, unique: str
    ) -> None:
        create_topic(kafka, unique, 4)
        for number in range(400):
            producer.send(unique, number, key=str(number).encode())
        producer.flush()
        first = Member(platform, unique)
        wait_until(lambda: len(first.read) == 400, "all messages")

        second = Member(platform, unique)
        wait_until(lambda: len(first.owned) == 2 and len(second.owned) == 2, "two partitions for each")
        first.close()
        wait_until(lambda: len(second.owned) == 4, "all partitions for the second")
        for number in range(400, 420):
            producer.send(unique, number, key=str(number).encode())
        producer.flush()
        wait_until(lambda: len(second.read) >= 20, "the rest")
        second.close()

        assert first.commits_in_revocation >= 1
        assert sorted(message.value for message in first.read) == list(range(400))
        assert sorted(message.value for message in second.read) == list(range(400, 420))

    def test_a_tombstone_has_no_value(self, kafka: str, reader: Reader, unique: str) -> None:
        from kafka import KafkaProducer

        plain = KafkaProducer(bootstrap_servers=kafka)
        plain.send(unique, value=None, key=b"k")
        plain.flush()
        plain.close()

        [message] = take(reader(), 1)

        assert message.data is None
        assert message.value is None

    @pytest.mark.parametrize("refused_by", ["client", "broker"])
    def test_a_message_that_is_too_large_is_rejected_and_its_neighbours_are_not(
        self, arguments: dict[str, Any], reader: Reader, unique: str, refused_by: str
    ) -> None:
        reports: list[QueueError | None] = []
        limit = 1_048_576 if refused_by == "client" else 50_000_000

        with get_producer_interface(**arguments, max_request_size=limit) as producer:
            for size in (10, 20, 3_000_000, 30, 40):
                try:
                    producer.send(unique, "x" * size, on_delivery=reports.append)
                except MessageRejected as error:
                    reports.append(error)
            producer.flush()
            producer.send(unique, "afterwards", on_delivery=reports.append)

        kinds = sorted(type(report).__name__ for report in reports)
        assert kinds == ["MessageRejected"] + ["NoneType"] * 5
        consumer, sizes = reader(), set[int]()
        while sizes != {10, 20, 30, 40}:  # one may be there twice: it had arrived when another was refused
            sizes.update(len(message.value) for message in take(consumer, 1))

    @pytest.mark.parametrize("refused_by", ["client", "broker"])
    def test_one_of_many_that_is_too_large_costs_only_itself(
        self, arguments: dict[str, Any], reader: Reader, unique: str, refused_by: str
    ) -> None:
        told, sizes = Told(), [*range(10, 210), 3_000_000, *range(300, 500)]
        limit = 1_048_576 if refused_by == "client" else 50_000_000

        with get_producer_interface(**arguments, max_request_size=limit) as producer:
            producer.send_all([Item(unique, b"1")], told)
            producer.flush()
            producer.send_all([Item(unique, b"1" * size) for size in sizes], told)
            producer.flush()
            producer.send_all([Item(unique, b"1" * 600)], told)

        rejected = [len(data) for data, outcome in told.outcomes if outcome is MessageRejected]
        assert rejected == [3_000_000]
        taken = sorted(len(data) for data, outcome in told.outcomes if outcome is type(None))
        assert taken == sorted([1, 600, *(size for size in sizes if size != 3_000_000)])
        consumer, found = reader(), set[int]()
        while found != set(taken):  # some may be there twice: they had arrived when another was refused
            found.update(len(message.data or b"") for message in take(consumer, 1))

    def test_an_error_that_nobody_took_is_raised_by_the_flush(
        self, arguments: dict[str, Any], unique: str
    ) -> None:
        with get_producer_interface(**arguments, max_request_size=50_000_000) as producer:
            producer.send(unique, "x" * 3_000_000)

            with pytest.raises(DeliveryError) as caught:
                producer.flush()

            assert caught.value.undelivered == 1
            assert isinstance(caught.value.__cause__, MessageRejected)
            producer.flush()  # told once

    def test_committing_for_a_partition_of_another_reader_is_refused(
        self, platform: Platform, producer: Producer, reader: Reader, unique: str
    ) -> None:
        producer.send(unique, 1)
        producer.flush()

        with pytest.raises(QueueError, match="commit"):
            reader().commit([Position(unique, 0, 1)])  # it never joined the group

    def test_messages_that_retention_took_before_they_were_read_are_told(
        self, kafka: str, producer: Producer, reader: Reader, unique: str
    ) -> None:
        create_topic(kafka, unique, 1)
        for number in range(10):
            producer.send(unique, number)
        producer.flush()
        first = reader()
        first.commit([take(first, 3)[-1].next])
        first.close()
        delete_records(kafka, unique, 0, 7)

        gaps = Gaps()
        messages = take(reader(listener=gaps), 3)

        assert [message.value for message in messages] == [7, 8, 9]
        assert gaps.told == [(0, 3, 7)]

    def test_messages_that_retention_took_under_a_slow_reader_are_told(
        self, kafka: str, producer: Producer, reader: Reader, unique: str
    ) -> None:
        create_topic(kafka, unique, 1)
        producer.send(unique, 0)
        producer.flush()
        gaps = Gaps()
        slow = reader(listener=gaps)
        take(slow, 1)
        slow.pause()
        until = time.monotonic() + 3.0
        while time.monotonic() < until:  # it fetches nothing by itself any more
            slow.poll(0.2, 1)
        for number in range(1, 10):
            producer.send(unique, number)
        producer.flush()
        delete_records(kafka, unique, 0, 8)
        slow.resume()

        assert [message.value for message in take(slow, 2)] == [8, 9]
        assert gaps.told == [(0, 1, 8)]

    def test_a_new_group_misses_nothing_where_retention_has_been_and_is_told_where_it_begins(
        self,
        kafka: str,
        producer: Producer,
        reader: Reader,
        unique: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        create_topic(kafka, unique, 1)
        for number in range(5):
            producer.send(unique, number)
        producer.flush()
        delete_records(kafka, unique, 0, 3)

        gaps = Gaps()

        assert [message.value for message in take(reader(listener=gaps), 2)] == [3, 4]
        assert gaps.told == []
        told = [
            record.getMessage()
            for record in caplog.records  # kafka-python warns of its own slowness on a busy machine
            if record.levelname == "WARNING" and record.name.startswith("estela_")
        ]
        assert [text for text in told if text.startswith(f"{unique} partition 0: ")] == told
        assert len(told) == 1
        assert "no longer has what was before offset 3." in told[0]

    def test_a_topic_that_appears_later_is_read_however_short_the_polls_are(
        self, platform: Platform, reader: Reader, unique: str
    ) -> None:
        """The group is joined again when the partitions appear, and a short poll ends before that is done."""
        consumer = reader()
        until = time.monotonic() + 1.0
        while time.monotonic() < until:  # long enough to have joined without partitions
            consumer.poll(0.2, 10)
        with platform.producer() as producer:
            producer.send(unique, "one")
        read: list[Message] = []

        def something_is_read() -> bool:
            read.extend(consumer.poll(0.01, 10))
            return bool(read)

        wait_until(something_is_read, "the message", 30)


class TestKafka(KafkaContract):
    def test_a_reader_takes_large_pieces_off_its_connection(
        self, producer: Producer, reader: Reader, unique: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pieces: list[int] = []
        receive = connections._LargeReadSocket.recv

        def noted(self: Any, size: int) -> bytes:
            data = receive(self, size)
            pieces.append(len(data))
            return data

        monkeypatch.setattr(connections._LargeReadSocket, "recv", noted)
        for _ in range(500):
            producer.send(unique, b'"%b"' % (b"x" * 2_000))
        producer.flush()

        take(reader(), 500)

        assert max(pieces) > 16 * 1024  # kafka-python asks for 4 KiB

    def test_a_thread_that_flushes_waits_for_what_another_sends_again(
        self, producer: Producer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert isinstance(producer, IdempotentProducer)
        held, begun = threading.Event(), threading.Event()

        def try_alone(*_: object) -> None:
            begun.set()
            held.wait(30)

        monkeypatch.setattr(producer, "_try_alone", try_alone)
        producer._suspects.append(Record("topic", b"", None, [], None))
        first, second = (threading.Thread(target=producer._try_suspects) for _ in range(2))

        first.start()
        assert begun.wait(30)
        second.start()
        second.join(0.3)

        assert second.is_alive()
        held.set()
        second.join(30)
        assert not second.is_alive()

    def test_a_new_member_costs_its_group_one_rebalance(
        self, producer: Producer, reader: Reader, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Told by the client's log: nothing else counts the joins."""
        consumer = reader()
        producer.send(consumer.subscription.topic, "there")
        producer.flush()
        caplog.set_level(logging.INFO, "kafka.coordinator")

        take(consumer, 1)
        for _ in range(5):
            consumer.poll(0.1, 1)

        joins = [line for line in caplog.messages if "Successfully joined group" in line]
        assert len(joins) == 1
