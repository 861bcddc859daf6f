"""The door to Kafka."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from estela_queue_adapter.access import TopicAccess
from estela_queue_adapter.administration import Administration
from estela_queue_adapter.interfaces import Consumer, PartitionListener, Platform, Producer, Transactions
from estela_queue_adapter.members import GroupMember
from estela_queue_adapter.messages import Message
from estela_queue_adapter.platforms.kafka.administration import KafkaAdministration
from estela_queue_adapter.platforms.kafka.client import client_for
from estela_queue_adapter.platforms.kafka.groups import members_of
from estela_queue_adapter.platforms.kafka.reading import KafkaPeek, KafkaReader
from estela_queue_adapter.platforms.kafka.settings import FETCH_LEAST, KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import access_to
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_names import checked_topic
from estela_queue_adapter.topic_reader import Peek, TopicReader


class KafkaPlatform(Platform):
    """Apache Kafka 2.1 and later."""

    settings_class = KafkaSettings

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client = client_for(settings)

    def shared_by(self, readers: int) -> Platform:
        share = max(FETCH_LEAST, self._settings.fetch_max_bytes // readers)
        return KafkaPlatform(dataclasses.replace(self._settings, fetch_max_bytes=share))

    def producer(self) -> Producer:
        return self._client.producer()

    def consumer(self, subscription: Subscription, listener: PartitionListener | None = None) -> Consumer:
        return self._client.consumer(subscription, listener or PartitionListener())

    def read(self, topic: str) -> Iterator[Message]:
        with self.reader(topic) as reader:
            yield from reader.read_on()

    def reader(self, topic: str, since: float = 0.0) -> TopicReader:
        return KafkaReader(self._settings, topic, since)

    def members(self, subscription: Subscription) -> list[GroupMember] | None:
        return members_of(self._settings, subscription.group_id, checked_topic(subscription.topic))

    def peek(self, topic: str) -> Peek:
        return KafkaPeek(self._settings, topic)

    def examine(self, topics: Collection[str]) -> list[TopicAccess]:
        return access_to(self._settings, [checked_topic(topic) for topic in topics])

    def transactions(self, name: str) -> Transactions:
        return self._client.transactions(name)

    def administration(self) -> Administration:
        return KafkaAdministration(self._settings)

    def describe(self) -> str:
        return f"Kafka at {','.join(self._settings.bootstrap_servers)}"

    @property
    def client_library(self) -> str:
        return self._client.library

    @property
    def assignment(self) -> str:
        return self._settings.partition_assignment

    @property
    def max_message_bytes(self) -> int:
        return self._settings.max_request_size
