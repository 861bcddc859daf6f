"""Groups of messages that are published wholly or not at all: Kafka's transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from estela_queue_adapter.interfaces import Transactions
from estela_queue_adapter.messages import Outgoing
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_TRANSACTION_TIMEOUT_MS = 10_000  # after which the broker undoes what a killed process left open
_DELIVERY_TIMEOUT = 30.0  # seconds for one message


class KafkaTransactions(Transactions):
    """A transactional producer. After an error it is recreated, which undoes what was open."""

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._brokers = Brokers(settings)
        self._client: KafkaProducer | None = self._open()

    def publish(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            message.check()
        if self._client is None:
            self._client = self._open()
        try:
            with translated(self._brokers):
                self._publish(self._client, messages)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            client.close(timeout=1.0)

    def _open(self) -> KafkaProducer:
        client: KafkaProducer = connect(
            KafkaProducer,
            self._settings,
            self._brokers,
            transactional_id=self._name,
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
            acks="all",
            max_request_size=self._settings.max_request_size,
            compression_type=self._settings.compression,
        )
        try:
            with translated(self._brokers):
                client.init_transactions()
        except BaseException:
            client.close(timeout=0)
            raise
        return client

    def _send(self, client: KafkaProducer, message: Outgoing) -> Any:
        """Hand one message over; it goes elsewhere if the topic no longer has its partition."""
        partition = message.partition
        if partition is not None and partition not in (client.partitions_for(message.topic) or ()):
            partition = None
        return client.send(
            message.topic,
            message.data,
            key=message.key,
            headers=interface_for(self._settings).sendable(message.headers),
            partition=partition,
        )

    def _publish(self, client: KafkaProducer, messages: Sequence[Outgoing]) -> None:
        client.begin_transaction()
        try:
            futures = [self._send(client, message) for message in messages]
            for future in futures:
                future.get(_DELIVERY_TIMEOUT)
        except kafka_errors.ProducerFencedError:
            raise
        except kafka_errors.KafkaError:
            client.abort_transaction()
            raise
        client.commit_transaction()
