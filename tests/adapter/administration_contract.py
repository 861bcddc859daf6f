"""What every platform that has an administration promises its operator, as one suite."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import Consumer, Platform, Position, Subscription
from estela_queue_adapter.administration import Administration
from estela_queue_adapter.errors import ConfigurationError, GroupInUse, TopicMissing

HOSTILE = "g\x1b[31m\u202e'\"; rm -rf / \n\u200b"


def committed(administration: Administration, group: str, topic: str) -> dict[int, int]:
    """What the group has committed of the topic, by partition."""
    return {at.partition: at.offset for at in administration.committed(group) if at.topic == topic}


def read_and_commit(consumer: Consumer, count: int) -> None:
    """Poll until at least `count` messages came, and commit them."""
    seen: list[int] = []

    def enough() -> bool:
        for message in consumer.poll(0.5, count):
            seen.append(message.offset)
            consumer.commit([message.next])
        return len(seen) >= count

    wait_until(enough, f"{count} messages")


class AdministrationContract:
    """Part of the platforms' contract, which gives the fixtures."""

    @pytest.fixture
    def administration(self, operated: Platform) -> Iterator[Administration]:
        with contextlib.closing(operated.administration()) as administration:
            yield administration

    @pytest.fixture
    def ten(self, operated: Platform, unique: str) -> str:
        """A topic with ten messages."""
        with operated.producer() as producer:
            for number in range(10):
                producer.send(unique, number)
            producer.flush()
        return unique

    def test_topics_have_their_messages_and_the_queues_own_are_not_among_them(
        self, administration: Administration, ten: str
    ) -> None:
        [topic] = administration.topics([ten])

        assert (topic.name, topic.messages) == (ten, 10)
        assert ten in [each.name for each in administration.topics()]
        assert not [each.name for each in administration.topics() if each.name.startswith("__")]

    def test_a_topic_that_is_not_there_is_told_and_not_created(
        self, administration: Administration, unique: str
    ) -> None:
        for ask in (administration.topics, administration.prunable):
            if ask != administration.prunable or not administration.own_retention:
                with pytest.raises(TopicMissing, match=unique):
                    ask([unique])
        with pytest.raises(TopicMissing, match=unique):
            administration.first_since(unique, 0.0)
        with pytest.raises(ConfigurationError, match="not a name for a topic"):
            administration.topics(["a/b"])
        assert unique not in [each.name for each in administration.topics()]

    def test_a_group_with_members_keeps_its_positions_and_one_without_goes_where_it_is_sent(
        self, administration: Administration, operated: Platform, ten: str
    ) -> None:
        group = f"{HOSTILE}{ten}"
        with operated.consumer(Subscription(topic=ten, group=group)) as consumer:
            read_and_commit(consumer, 10)
            [found] = administration.groups([group])
            before = committed(administration, group, ten)
            with pytest.raises(GroupInUse):
                administration.set_committed(group, [Position(ten, 0, 0)])
            with pytest.raises(GroupInUse):
                administration.remove_group(group)
            assert (found.name, found.is_empty, found.reads) == (group, False, True)
            assert committed(administration, group, ten) == before
            assert sum(before.values()) == 10

        assert administration.groups([group])[0].is_empty
        administration.set_committed(group, administration.first_since(ten, 0.0))
        assert set(committed(administration, group, ten).values()) == {0}
        with operated.consumer(Subscription(topic=ten, group=group)) as consumer:
            assert consumer.lag() == 10
            read_and_commit(consumer, 10)
        administration.remove_group(group)
        assert administration.groups([group]) == []
        assert committed(administration, group, ten) == {}

    @pytest.mark.parametrize(
        ("moment", "is_beginning"),
        [(-1e300, True), (-2.0, True), (-1.0, True), (0.0, True), (1e300, False), (None, False)],
    )
    def test_a_moment_before_all_is_the_beginning_and_one_behind_all_the_end(
        self, administration: Administration, ten: str, moment: Any, is_beginning: bool
    ) -> None:
        [topic] = administration.topics([ten])

        found = administration.first_since(ten, time.time() + 60 if moment is None else moment)

        assert [at.offset for at in found] == [
            each.beginning if is_beginning else each.end for each in topic.partitions
        ]
