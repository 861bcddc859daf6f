"""Publishing to Kafka: idempotent, acknowledged by every in-sync replica."""

from __future__ import annotations

import threading
import time
from typing import Any

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import DeliveryError, QueueError
from estela_queue_adapter.interfaces import Headers, OnDelivery, Producer
from estela_queue_adapter.platforms.kafka.errors import translate, translated
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.serialization import serialize

_CONNECT_TIMEOUT_MS = 5_000
_BATCH_BYTES = 128 * 1024
_LINGER_MS = 5


class IdempotentProducer(Producer):
    """kafka-python's producer, connected at the first use."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._where = ",".join(settings.bootstrap_servers)
        self._client: KafkaProducer | None = None
        self._lock = threading.Lock()  # guards what follows, which the client's thread changes too
        self._connecting = threading.Lock()
        self._in_flight = 0
        self._failed: list[QueueError] = []

    def get_connection(self) -> bool:
        try:
            self._connected()
        except QueueError:
            return False
        return True

    def send(
        self,
        topic: str,
        data: Any,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        on_delivery: OnDelivery | None = None,
    ) -> None:
        value = serialize(data)
        client = self._connected()
        with self._lock:
            self._in_flight += 1
        try:
            with translated(self._where):
                future = client.send(topic, value, key=key, headers=list(headers))
        except BaseException:
            with self._lock:
                self._in_flight -= 1
            raise
        future.add_callback(self._acknowledged, on_delivery)
        future.add_errback(self._refused, on_delivery)

    def flush(self, timeout: float | None = None) -> None:
        if self._client is not None:
            try:
                self._client.flush(timeout)
            except kafka_errors.KafkaTimeoutError as error:
                raise self._undelivered(f"none within {timeout} s from Kafka at {self._where}") from error
        with self._lock:
            failed, self._failed = self._failed, []
        if failed:
            raise DeliveryError(len(failed), str(failed[0])) from failed[0]

    def close(self, timeout: float = 30.0) -> None:
        if self._client is None:
            return
        deadline = time.monotonic() + timeout
        try:
            self.flush(timeout)
        finally:
            client, self._client = self._client, None
            client.close(timeout=max(0.0, deadline - time.monotonic()))

    def _connected(self) -> KafkaProducer:
        with self._connecting:
            if self._client is None:
                with translated(self._where):
                    self._client = KafkaProducer(
                        **self._settings.client_options(),
                        acks="all",
                        enable_idempotence=True,
                        batch_size=_BATCH_BYTES,
                        linger_ms=_LINGER_MS,
                        compression_type=self._compression(),
                        bootstrap_timeout_ms=_CONNECT_TIMEOUT_MS,
                    )
            return self._client

    def _compression(self) -> str | None:
        chosen = self._settings.compression_type
        return None if chosen in ("", "none") else chosen

    def _acknowledged(self, on_delivery: OnDelivery | None, _metadata: object) -> None:
        with self._lock:
            self._in_flight -= 1
        if on_delivery is not None:
            on_delivery(None)

    def _refused(self, on_delivery: OnDelivery | None, error: BaseException) -> None:
        ours = translate(error, self._where)
        with self._lock:
            self._in_flight -= 1
            if on_delivery is None:
                self._failed.append(ours)
        if on_delivery is not None:
            on_delivery(ours)

    def _undelivered(self, reason: str) -> DeliveryError:
        with self._lock:
            count, self._failed = self._in_flight + len(self._failed), []
        return DeliveryError(count, reason)
