"""kafka-python's producer: connected at the first use, and replaced once it sends nothing more."""

from __future__ import annotations

import contextlib
import threading
import time

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect
from estela_queue_adapter.platforms.kafka.errors import translate, translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.interface.public import PublicInterface
from estela_queue_adapter.platforms.kafka.producer_client import (
    BATCH_BYTES,
    LINGER_MS,
    METADATA_TIMEOUT_MS,
    Decided,
    ProducerClient,
    Record,
    closed_too_soon,
)
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import absence


class KafkaPythonProducer(ProducerClient):
    """The client of one producer, at most one at a time."""

    def __init__(self, settings: KafkaSettings, brokers: Brokers) -> None:
        self._settings = settings
        self._brokers = brokers
        # Held while a client is connected or replaced, so that there is one. It may be taken again, as signal
        # handlers may send meanwhile. Whoever looks at the client, or releases it, does not wait for it: to
        # connect takes seconds.
        self._connecting = threading.RLock()
        self._client: KafkaProducer | None = None
        self._ended = False
        self._released = False
        self._to_close: KafkaProducer | None = None

    @property
    def _interface(self) -> PublicInterface:
        return interface_for(self._settings)

    def connect(self) -> None:
        self._connected()

    def check(self, record: Record) -> Record:
        return record._replace(headers=self._interface.sendable(record.headers))

    def send(self, record: Record, decided: Decided) -> None:
        client = self._connected()
        with translated(self._brokers):
            try:
                future = client.send(record.topic, record.value, key=record.key, headers=list(record.headers))
            except kafka_errors.KafkaTimeoutError:
                # The client says only that time is up.
                if absent := absence(self._settings, self._brokers, record.topic):
                    raise absent from None
                raise
        future.add_callback(lambda _: decided(None))
        future.add_errback(lambda error: decided(self._translated(error)))

    def flush(self, timeout: float | None) -> bool:
        client = self._client
        if client is None:
            return True
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            remaining = None if timeout is None else max(0.0, deadline - time.monotonic())
            try:
                client.flush(remaining)
            except kafka_errors.KafkaTimeoutError:
                return False
            except kafka_errors.UnknownError:
                if remaining == 0.0:
                    return False
                continue  # a batch was too large and is sent in parts, which kafka-python does not wait for
            return True

    def replace(self) -> None:
        self._ended = True

    def release(self) -> None:
        self._released = True
        self._to_close, self._client = self._client, None

    def close(self, timeout: float) -> None:
        if self._to_close is not None:
            client, self._to_close = self._to_close, None
            self._let_go(client, timeout)

    def forked(self) -> None:
        if self._client is not None:
            self._interface.abandon(self._client)

    def broker_addresses(self) -> set[str] | None:
        client = self._client
        return set() if client is None else self._interface.broker_addresses(client)

    def _translated(self, error: BaseException) -> QueueError:
        return translate(error, self._brokers)

    def _connected(self) -> KafkaProducer:
        with self._connecting:
            if self._ended and self._client is not None:
                self._let_go(self._client, 0.0)
                self._client, self._ended = None, False
            client = self._client
            if client is None:
                client = self._client = self._made()
            if self._released:  # meanwhile, which takes no lock
                self._let_go(client, 0.0)
                self._client = None
                raise closed_too_soon()
            return client

    def _let_go(self, client: KafkaProducer, timeout: float) -> None:
        """Close a client; what it has not delivered by then is an error of `flush`, not here."""
        with contextlib.suppress(kafka_errors.KafkaTimeoutError):
            self._interface.close_producer(client, timeout)

    def _made(self) -> KafkaProducer:
        client = connect(
            self._interface.producer_class,
            self._settings,
            self._brokers,
            acks="all",
            enable_idempotence=True,
            batch_size=BATCH_BYTES,
            linger_ms=LINGER_MS,
            max_request_size=self._settings.max_request_size,
            compression_type=self._settings.compression,
            max_block_ms=METADATA_TIMEOUT_MS,
        )
        self._interface.prepare_producer(client)
        return client
