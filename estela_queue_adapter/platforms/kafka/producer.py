"""Publishing to Kafka: idempotent, acknowledged by every in-sync replica."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.producer.future import FutureRecordMetadata

from estela_queue_adapter.errors import (
    AccessDenied,
    DeliveryError,
    QueueError,
    TransientError,
)
from estela_queue_adapter.interfaces import Headers, OnDelivery, Producer
from estela_queue_adapter.platforms.kafka.brokers import Brokers
from estela_queue_adapter.platforms.kafka.clients import ask_once_for_metadata, connect
from estela_queue_adapter.platforms.kafka.errors import translate, translated
from estela_queue_adapter.platforms.kafka.headers import sendable
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings, checked_topic
from estela_queue_adapter.platforms.kafka.topics import absence
from estela_queue_adapter.serialization import serialize

_METADATA_TIMEOUT_MS = 10_000  # for a topic to show up, before the queue is away or the topic missing
_ALONE_TIMEOUT = 30.0  # seconds for a message that is sent again by itself
_BATCH_BYTES = 128 * 1024
_LINGER_MS = 5


class _Record(NamedTuple):
    topic: str
    value: bytes
    key: bytes | None
    headers: list[tuple[str, bytes]]
    on_delivery: OnDelivery | None


class IdempotentProducer(Producer):
    """kafka-python's producer, connected at the first use.

    A broker that refuses one message ends an idempotent client: everything in flight fails with the same
    error, and the client sends nothing more. So each of these is sent again by itself, by a new client,
    which tells the guilty one from its neighbours. A neighbour that had arrived all the same is in the topic
    twice then; consumers know it by the id in its envelope.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._where = Brokers(settings)
        self._client: KafkaProducer | None = None
        self._connecting = threading.Lock()
        self._one_by_one = threading.Lock()  # held while suspects are sent again
        self._lock = threading.Lock()  # guards what follows, which the client's thread changes too
        self._in_flight = 0
        self._failed: list[QueueError] = []
        self._suspects: deque[_Record] = deque()
        self._ended = False

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
        record = _Record(checked_topic(topic), serialize(data), key, sendable(headers), on_delivery)
        if self._suspects:
            self._try_suspects()
        with self._lock:
            self._in_flight += 1
        try:
            future = self._hand_over(record)
        except BaseException:
            with self._lock:
                self._in_flight -= 1
            raise
        future.add_callback(lambda _: self._report(record, None))
        future.add_errback(lambda error: self._refused(record, error))

    def flush(self, timeout: float | None = None) -> None:
        if self._client is not None:
            try:
                self._client.flush(timeout)
            except kafka_errors.KafkaTimeoutError as error:
                raise self._undelivered(f"none within {timeout} s from Kafka at {self._where}") from error
            self._try_suspects()
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
            _let_go(client, max(0.0, deadline - time.monotonic()))

    def _connected(self) -> KafkaProducer:
        with self._connecting:
            if self._ended and self._client is not None:
                _let_go(self._client, 0.0)
                self._client, self._ended = None, False
            if self._client is None:
                self._client = connect(
                    KafkaProducer,
                    self._settings,
                    self._where,
                    acks="all",
                    enable_idempotence=True,
                    batch_size=_BATCH_BYTES,
                    linger_ms=_LINGER_MS,
                    max_request_size=self._settings.max_request_size,
                    compression_type=self._settings.compression,
                    max_block_ms=_METADATA_TIMEOUT_MS,
                )
                ask_once_for_metadata(self._client._metadata)
            return self._client

    def _hand_over(self, record: _Record) -> FutureRecordMetadata:
        client = self._connected()
        with translated(self._where):
            try:
                return client.send(record.topic, record.value, key=record.key, headers=record.headers)
            except kafka_errors.KafkaTimeoutError:
                # The client says only that time is up.
                if absent := absence(self._settings, self._where, record.topic):
                    raise absent from None
                raise

    def _refused(self, record: _Record, error: BaseException) -> None:
        ours = translate(error, self._where)
        if isinstance(ours, (TransientError, AccessDenied)):
            self._report(record, ours)
            return
        with self._lock:
            self._suspects.append(record)
            self._ended = True

    def _try_suspects(self) -> None:
        """Send again, each by itself, what failed for a reason that may be another message's.

        Returns when all of them are decided, those too that another thread has begun with.
        """
        with self._one_by_one:
            while self._suspects:
                self._try_alone(self._suspects.popleft())

    def _try_alone(self, record: _Record) -> None:
        try:
            future = self._hand_over(record)
            with translated(self._where):
                future.get(_ALONE_TIMEOUT)
        except (TransientError, AccessDenied) as error:
            self._report(record, error)
        except QueueError as error:
            self._ended = True
            self._report(record, error)
        else:
            self._report(record, None)

    def _report(self, record: _Record, error: QueueError | None) -> None:
        with self._lock:
            self._in_flight -= 1
            if error is not None and record.on_delivery is None:
                self._failed.append(error)
        if record.on_delivery is not None:
            record.on_delivery(error)

    def _undelivered(self, reason: str) -> DeliveryError:
        with self._lock:
            count, self._failed = self._in_flight + len(self._failed), []
        return DeliveryError(count, reason)


def _let_go(client: KafkaProducer, timeout: float) -> None:
    """Close a client; what it has not delivered by then is told by `flush`, not here."""
    try:
        client.close(timeout=timeout)
    except kafka_errors.KafkaTimeoutError:  # then it leaves its thread running, for ever
        client._sender.force_close()
