"""The door to Kafka."""

from __future__ import annotations

from estela_queue_adapter.interfaces import Consumer, PartitionListener, Platform, Producer, Subscription
from estela_queue_adapter.platforms.kafka.consumer import KafkaGroupConsumer
from estela_queue_adapter.platforms.kafka.producer import IdempotentProducer
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings


class KafkaPlatform(Platform):
    """Apache Kafka 2.1 and later."""

    settings_class = KafkaSettings

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def producer(self) -> Producer:
        return IdempotentProducer(self._settings)

    def consumer(self, subscription: Subscription, listener: PartitionListener | None = None) -> Consumer:
        return KafkaGroupConsumer(self._settings, subscription, listener or PartitionListener())

    def describe(self) -> str:
        return f"Kafka at {','.join(self._settings.bootstrap_servers)}"
