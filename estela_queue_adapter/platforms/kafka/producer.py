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
    ProducerClosed,
    QueueError,
    QueueUnreachable,
    TransientError,
)
from estela_queue_adapter.interfaces import Headers, OnDelivery, Producer
from estela_queue_adapter.lifecycle import interpreter_ended, watch
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers, address
from estela_queue_adapter.platforms.kafka.connections.clients import ask_once_for_metadata, connect
from estela_queue_adapter.platforms.kafka.errors import translate, translated
from estela_queue_adapter.platforms.kafka.records.headers import sendable
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings, checked_topic
from estela_queue_adapter.platforms.kafka.topics import absence
from estela_queue_adapter.serialization import serialize
from estela_terminal.printable import printable_logger

_METADATA_TIMEOUT_MS = 10_000  # for a topic to show up, before the queue is away or the topic missing
_ALONE_TIMEOUT = 30.0  # seconds for a message that is sent again by itself
_BATCH_BYTES = 128 * 1024
_LINGER_MS = 5

logger = printable_logger(__name__)


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
        self._closed = False
        self._begin()
        watch(self)

    def _begin(self) -> None:
        """With no client yet, and nothing in flight."""
        self._client: KafkaProducer | None = None
        # Signal handlers may send in the middle of everything, so each lock may be taken again.
        self._connecting = threading.RLock()
        self._one_by_one = threading.RLock()  # held while suspects are sent again
        # Guards what follows, which the client's thread changes too.
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)  # told when nothing is in flight any more
        self._in_flight = 0
        self._failed: list[QueueError] = []
        self._suspects: deque[_Record] = deque()
        self._ended = False
        self._given_up = False

    def get_connection(self) -> bool:
        self._check_open()
        try:
            self._connected()
        except QueueUnreachable as error:
            logger.warning("Queue unavailable: %s. Each message that is sent tries again.", error)
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
        self._check_open()
        record = _Record(checked_topic(topic), serialize(data), key, sendable(headers), on_delivery)
        if self._suspects:
            self._try_suspects()
        with self._lock:
            self._check_open()
            self._in_flight += 1  # from here on `close` waits for it
        try:
            future = self._hand_over(record)
        except BaseException as error:
            self._landed()
            if self._closed and isinstance(error, QueueError):
                raise ProducerClosed("the producer was closed meanwhile") from error
            raise
        future.add_callback(lambda _: self._report(record, None))
        future.add_errback(lambda error: self._refused(record, error))

    def flush(self, timeout: float | None = None) -> None:
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        client = self._client
        if client is not None:
            try:
                _flush(client, timeout)
            except kafka_errors.KafkaTimeoutError as error:
                raise self._undelivered(timeout) from error
            self._try_suspects(deadline)
            if self._suspects:
                raise self._undelivered(timeout)
        with self._lock:
            failed, self._failed = self._failed, []
        if failed:
            raise DeliveryError(len(failed), str(failed[0])) from failed[0]

    def close(self, timeout: float = 30.0) -> None:
        with self._lock:
            already, self._closed = self._closed, True
        if already:
            return
        deadline = time.monotonic() + timeout
        try:
            self._flush_all(deadline, timeout)
        finally:
            client, self._client = self._client, None
            self._give_up()
            if client is not None:
                _let_go(client, max(0.0, deadline - time.monotonic()))

    def end(self, timeout: float) -> None:
        self.close(timeout)
        with self._settled:  # another thread may have begun to close it
            self._settled.wait_for(lambda: not self._in_flight or self._given_up, timeout)

    def forked(self) -> None:
        if self._client is not None:
            self._client._unregister_cleanup()
            self._client._closed = True  # or it would flush, when it is dropped, by a thread that is not here
        self._begin()

    def _check_open(self) -> None:
        if self._closed or interpreter_ended():
            raise ProducerClosed("the producer is closed")

    def _flush_all(self, deadline: float, timeout: float) -> None:
        """Flush, what other threads have just begun to send too."""
        while True:
            self.flush(max(0.0, deadline - time.monotonic()))
            with self._lock:
                if not (self._in_flight or self._failed):
                    return
                if time.monotonic() >= deadline:
                    raise self._undelivered(timeout)
                self._settled.wait(_LINGER_MS / 1000)

    def _give_up(self) -> None:
        """Tell of everything that is still in flight that nobody waits for it any more."""
        with self._lock:
            self._given_up = True
            self._settled.notify_all()
            suspects, self._suspects = self._suspects, deque()
        for record in suspects:
            self._report(record, _closed_too_soon())

    def _connected(self) -> KafkaProducer:
        with self._connecting:
            if self._ended and self._client is not None:
                _let_go(self._client, 0.0)
                self._client, self._ended = None, False
            if self._client is None:
                self._client = self._connect()
            if self._given_up:  # it was closed meanwhile
                _let_go(self._client, 0.0)
                self._client = None
                raise _closed_too_soon()
            return self._client

    def _connect(self) -> KafkaProducer:
        client = connect(
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
        client._unregister_cleanup()  # it would close after a second, before other `atexit` handlers send
        ask_once_for_metadata(client._metadata)
        return client

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
        if self._given_up:
            self._report(record, _closed_too_soon())
            return
        ours = translate(error, self._where)
        if isinstance(ours, (TransientError, AccessDenied)):
            self._report(record, ours)
            return
        with self._lock:
            self._suspects.append(record)
            self._ended = True

    def _try_suspects(self, deadline: float = float("inf")) -> None:
        """Send again, each by itself, what failed for a reason that may be another message's.

        Returns when all of them are decided, those too that another thread has begun with, or soon after
        `deadline`.
        """
        if not self._one_by_one.acquire(timeout=_seconds_until(deadline)):
            return
        try:
            while self._suspects and time.monotonic() < deadline:
                self._try_alone(self._suspects.popleft(), deadline)
        finally:
            self._one_by_one.release()

    def _try_alone(self, record: _Record, deadline: float) -> None:
        try:
            future = self._hand_over(record)
            with translated(self._where):
                future.get(min(_ALONE_TIMEOUT, max(0.0, deadline - time.monotonic())))
        except (TransientError, AccessDenied) as error:
            self._report(record, error)
        except QueueError as error:
            self._ended = True
            self._report(record, error)
        else:
            self._report(record, None)

    def _landed(self) -> None:
        with self._lock:
            self._in_flight -= 1
            if not self._in_flight:
                self._settled.notify_all()

    def _report(self, record: _Record, error: QueueError | None) -> None:
        with self._lock:
            # Those that were given up are in the error of `close`.
            if error is not None and record.on_delivery is None and not self._given_up:
                self._failed.append(error)
            self._landed()
        if record.on_delivery is not None:
            record.on_delivery(error)

    def _undelivered(self, timeout: float | None) -> DeliveryError:
        with self._lock:
            count, self._failed = self._in_flight + len(self._failed), []
        return DeliveryError(count, self._why_silent(timeout or 0.0))

    def _why_silent(self, timeout: float) -> str:
        """Why nothing was acknowledged for so many seconds: which broker fails, if one does."""
        client = self._client
        brokers = [] if client is None else client._metadata.brokers()
        outage = self._where.outage({address(broker.host, broker.port) for broker in brokers})
        return str(outage or f"none within {timeout:.3g} s from Kafka at {self._where}")


def _closed_too_soon() -> ProducerClosed:
    return ProducerClosed("the producer was closed before the queue acknowledged the message")


def _seconds_until(deadline: float) -> float:
    """For a lock's timeout."""
    return -1 if deadline == float("inf") else max(0.0, deadline - time.monotonic())


def _flush(client: KafkaProducer, timeout: float | None) -> None:
    """Have everything sent that is there; raises KafkaTimeoutError."""
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    while True:
        left = None if timeout is None else max(0.0, deadline - time.monotonic())
        try:
            client.flush(left)
        except kafka_errors.UnknownError:
            if left == 0.0:
                raise kafka_errors.KafkaTimeoutError("not all within the time") from None
            continue  # a batch was too large and is sent in parts, which kafka-python does not wait for
        return


def _let_go(client: KafkaProducer, timeout: float) -> None:
    """Close a client; what it has not delivered by then is told by `flush`, not here."""
    try:
        client.close(timeout=timeout)
    except kafka_errors.KafkaTimeoutError:  # then it leaves its thread running, for ever
        client._sender.force_close()
