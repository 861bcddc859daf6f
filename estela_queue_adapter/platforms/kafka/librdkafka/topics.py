"""Waiting for a topic that a producer has not sent to before."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError

from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.librdkafka.errors import translate, translated
from estela_queue_adapter.platforms.kafka.librdkafka.handle import Handle
from estela_queue_adapter.platforms.kafka.librdkafka.health import Health
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import absence

_ASK_AGAIN = 0.1  # seconds
_PASSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE)
_OF_SEND = (KafkaError.TOPIC_AUTHORIZATION_FAILED,)  # the message's own report says it


class AwaitedTopics:
    """The topics that one producer knows to be there; brokers create them when they are first asked for.

    librdkafka itself would take a message for any topic, and fail it later.
    """

    def __init__(self, settings: KafkaSettings, brokers: Brokers, health: Health, timeout: float) -> None:
        self._settings = settings
        self._brokers = brokers
        self._health = health
        self._timeout = timeout
        self.known: set[str] = set()

    def wait_for(self, handle: Handle, topic: str) -> None:
        """Block until it is there. Raises TopicMissing, TopicDenied, QueueUnreachable."""
        if topic in self.known:
            return
        deadline = time.monotonic() + self._timeout
        while not self._is_there(handle, topic, max(0.1, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                raise absence(self._settings, self._brokers, topic) or QueueUnreachable(
                    f"Kafka at {self._brokers}: it does not answer in time for the topic {topic}"
                )
            time.sleep(_ASK_AGAIN)
        self.known.add(topic)

    def _is_there(self, handle: Handle, topic: str, timeout: float) -> bool:
        with handle.use() as client, translated(self._brokers, outage=self._health.outage):
            error = client.list_topics(topic, timeout).topics[topic].error
        if error is None or error.code() in _OF_SEND:
            return True
        if error.code() in _PASSING:
            return False
        raise translate(error, self._brokers, about=topic)
