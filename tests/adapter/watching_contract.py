"""What every platform promises to those who only look: reading on, and who is a member."""

from __future__ import annotations

import time

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import Platform, Producer, Subscription
from estela_queue_adapter.errors import TopicMissing
from tests.adapter.loops_contract import Reader


def publish(producer: Producer, topic: str, *values: object) -> None:
    for value in values:
        producer.send(topic, value, key=b"one partition")
    producer.flush()


class WatchingContract:
    def test_a_topic_is_read_on_from_where_reading_stopped(
        self, platform: Platform, producer: Producer, unique: str
    ) -> None:
        publish(producer, unique, 1, 2, 3)

        with platform.reader(unique) as reader:
            first = [message.value for message in reader.read_on()]
            nothing = list(reader.read_on())
            publish(producer, unique, 4, 5)
            abandoned = next(reader.read_on()).value
            rest = [message.value for message in reader.read_on()]

        assert (first, nothing, abandoned, rest) == ([1, 2, 3], [], 4, [5])
        assert reader.begun_again == 0

    def test_reading_on_begins_at_a_time(self, platform: Platform, producer: Producer, unique: str) -> None:
        publish(producer, unique, "old", "old")
        time.sleep(0.01)  # times are in milliseconds
        noon = time.time()
        publish(producer, unique, "new")

        with platform.reader(unique, since=noon) as reader, platform.reader(unique, since=noon + 60) as later:
            assert [message.value for message in reader.read_on()] == ["new"]
            assert list(later.read_on()) == []
            publish(producer, unique, "newer")
            assert [message.value for message in reader.read_on()] == ["newer"]

    def test_reading_on_in_a_topic_that_is_missing_goes_on_once_it_is_there(
        self, platform: Platform, producer: Producer, unique: str
    ) -> None:
        with platform.reader(unique) as reader:
            for _ in range(2):
                with pytest.raises(TopicMissing, match=unique):
                    list(reader.read_on())
            publish(producer, unique, 1)
            wait_until(lambda: [message.value for message in reader.read_on()] == [1], "the message")

    def test_the_members_of_a_group_are_told_and_asking_makes_nobody_one(
        self, platform: Platform, producer: Producer, reader: Reader, unique: str
    ) -> None:
        publish(producer, unique, 1)
        subscription = Subscription(topic=unique)
        assert not platform.members(subscription)

        consumer = reader()
        wait_until(lambda: bool(consumer.poll(0.5, 1)), "a message")
        members = platform.members(subscription)

        if members is None:  # a platform may not know
            return
        assert [0 in each.partitions for each in members] == [True]
        assert not platform.members(Subscription(topic=unique, group="others"))
        consumer.close()
        wait_until(lambda: platform.members(subscription) == [], "the member to leave")
