"""The two clients: which one carries the messages, by QUEUE_PLATFORM_CLIENT."""

from __future__ import annotations

from abc import ABC, abstractmethod

import kafka

from estela_queue_adapter.interfaces import Consumer, PartitionListener, Producer, Transactions
from estela_queue_adapter.platforms.kafka.kafka_python.consumer import KafkaGroupConsumer
from estela_queue_adapter.platforms.kafka.kafka_python.producer_client import KafkaPythonProducer
from estela_queue_adapter.platforms.kafka.kafka_python.transactions import KafkaTransactions
from estela_queue_adapter.platforms.kafka.librdkafka.installation import check_installation, installed
from estela_queue_adapter.platforms.kafka.producer import IdempotentProducer
from estela_queue_adapter.platforms.kafka.settings import LIBRDKAFKA, KafkaSettings
from estela_queue_adapter.subscription import Subscription


class Client(ABC):
    """What carries messages. Questions about topics and groups are kafka-python's with either."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    @property
    @abstractmethod
    def library(self) -> str:
        """See `Platform.client_library`."""

    @abstractmethod
    def producer(self) -> Producer:
        """See `Platform.producer`."""

    @abstractmethod
    def consumer(self, subscription: Subscription, listener: PartitionListener) -> Consumer:
        """See `Platform.consumer`."""

    def transactions(self, name: str) -> Transactions:
        """See `Platform.transactions`."""
        return KafkaTransactions(self._settings, name)


class _KafkaPython(Client):
    @property
    def library(self) -> str:
        return f"kafka-python {kafka.__version__}"

    def producer(self) -> Producer:
        return IdempotentProducer(self._settings, KafkaPythonProducer)

    def consumer(self, subscription: Subscription, listener: PartitionListener) -> Consumer:
        return KafkaGroupConsumer(self._settings, subscription, listener)


class _Librdkafka(Client):
    """Imported only here, as it is an extra. Raises ConfigurationError if it cannot do what is set."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__(settings)
        check_installation()
        from estela_queue_adapter.platforms.kafka.librdkafka.options import check_settings

        check_settings(settings)

    @property
    def library(self) -> str:
        return installed()

    def producer(self) -> Producer:
        from estela_queue_adapter.platforms.kafka.librdkafka.producer_client import (
            LibrdkafkaProducer,
        )

        return IdempotentProducer(self._settings, LibrdkafkaProducer)

    def consumer(self, subscription: Subscription, listener: PartitionListener) -> Consumer:
        from estela_queue_adapter.platforms.kafka.librdkafka.consumer import (
            LibrdkafkaGroupConsumer,
        )

        return LibrdkafkaGroupConsumer(self._settings, subscription, listener)


def client_for(settings: KafkaSettings) -> Client:
    """The client that the settings name. Raises ConfigurationError."""
    return _Librdkafka(settings) if settings.client == LIBRDKAFKA else _KafkaPython(settings)
