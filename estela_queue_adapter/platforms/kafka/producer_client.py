"""kafka-python's producer: connected at the first use, and replaced once it sends nothing more."""

from __future__ import annotations

import contextlib
import threading
import time

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import ProducerClosed
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.interface.public import PublicInterface
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_METADATA_TIMEOUT_MS = 10_000  # for a topic to show up, before the queue is unavailable or the topic missing
_BATCH_BYTES = 128 * 1024
LINGER_MS = 5


class ProducerClient:
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

    @property
    def _interface(self) -> PublicInterface:
        return interface_for(self._settings)

    @property
    def current(self) -> KafkaProducer | None:
        """The client, if there is one."""
        return self._client

    def connected(self) -> KafkaProducer:
        """The client, connected. Blocks; raises our errors, ProducerClosed if it was released."""
        with self._connecting:
            if self._ended and self._client is not None:
                self.let_go(self._client, 0.0)
                self._client, self._ended = None, False
            client = self._client
            if client is None:
                client = self._client = self._connect()
            if self._released:  # meanwhile, which takes no lock
                self.let_go(client, 0.0)
                self._client = None
                raise closed_too_soon()
            return client

    def replace(self) -> None:
        """Have the next message sent by a new client: this one sends nothing more."""
        self._ended = True

    def release(self) -> KafkaProducer | None:
        """The client, for the caller to close; there is no other one after it."""
        self._released = True
        client, self._client = self._client, None
        return client

    def forked(self) -> None:
        """This is a copy in a forked process: the client is the parent's."""
        if self._client is not None:
            self._interface.abandon(self._client)

    def let_go(self, client: KafkaProducer, timeout: float) -> None:
        """Close a client; what it has not delivered by then is an error of `flush`, not here."""
        with contextlib.suppress(kafka_errors.KafkaTimeoutError):
            self._interface.close_producer(client, timeout)

    def _connect(self) -> KafkaProducer:
        client = connect(
            self._interface.producer_class,
            self._settings,
            self._brokers,
            acks="all",
            enable_idempotence=True,
            batch_size=_BATCH_BYTES,
            linger_ms=LINGER_MS,
            max_request_size=self._settings.max_request_size,
            compression_type=self._settings.compression,
            max_block_ms=_METADATA_TIMEOUT_MS,
        )
        self._interface.prepare_producer(client)
        return client


def closed_too_soon() -> ProducerClosed:
    """The error of a message that was given up."""
    return ProducerClosed("the producer was closed before the queue acknowledged the message")


def flush(client: KafkaProducer, timeout: float | None) -> None:
    """Have everything sent that is there; raises KafkaTimeoutError."""
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    while True:
        remaining = None if timeout is None else max(0.0, deadline - time.monotonic())
        try:
            client.flush(remaining)
        except kafka_errors.UnknownError:
            if remaining == 0.0:
                raise kafka_errors.KafkaTimeoutError("not all within the time") from None
            continue  # a batch was too large and is sent in parts, which kafka-python does not wait for
        return
