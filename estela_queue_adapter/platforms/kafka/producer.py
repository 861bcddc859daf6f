"""Publishing to Kafka: idempotent, acknowledged by every in-sync replica."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, NamedTuple

from kafka import errors as kafka_errors

from estela_queue_adapter.errors import (
    AccessDenied,
    DeliveryError,
    ProducerClosed,
    QueueError,
    QueueUnreachable,
    TransientError,
)
from estela_queue_adapter.interfaces import OnDelivery, Producer
from estela_queue_adapter.lifecycle import watch
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.deliveries import Deliveries
from estela_queue_adapter.platforms.kafka.errors import translate, translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.producer_client import (
    LINGER_MS,
    ProducerClient,
    closed_too_soon,
    flush,
)
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import absence
from estela_queue_adapter.serialization import serialize
from estela_queue_adapter.topic_names import checked_topic
from estela_terminal.printable import printable_logger

_ALONE_TIMEOUT = 30.0  # seconds for a message that is sent again by itself

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
        self._begin(closed=False)
        watch(self)

    def _begin(self, *, closed: bool) -> None:
        """With no client yet, and nothing in flight."""
        self._brokers = Brokers(self._settings)
        self._client = ProducerClient(self._settings, self._brokers)
        self._deliveries = Deliveries(closed=closed)
        self._suspects: deque[_Record] = deque()  # the client's thread adds to it
        # Held while suspects are sent again. It may be taken again, as signal handlers may send meanwhile.
        self._one_by_one = threading.RLock()

    def get_connection(self) -> bool:
        self._deliveries.check_open()
        try:
            self._client.connected()
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
        self._deliveries.check_open()
        sendable = interface_for(self._settings).sendable(headers)
        record = _Record(checked_topic(topic), serialize(data), key, sendable, on_delivery)
        if self._suspects:
            self._try_suspects()
        self._deliveries.begin()
        try:
            future = self._hand_over(record)
        except BaseException as error:
            self._deliveries.cancel()
            if self._deliveries.is_closed and isinstance(error, QueueError):
                raise ProducerClosed("the producer was closed meanwhile") from error
            raise
        future.add_callback(lambda _: self._report(record, None))
        future.add_errback(lambda error: self._refused(record, error))

    def flush(self, timeout: float | None = None) -> None:
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        client = self._client.current
        if client is not None:
            try:
                flush(client, timeout)
            except kafka_errors.KafkaTimeoutError as error:
                raise self._undelivered(timeout) from error
            self._try_suspects(deadline)
            if self._suspects:
                raise self._undelivered(timeout)
        if failed := self._deliveries.take_failed():
            raise DeliveryError(len(failed), str(failed[0])) from failed[0]

    def close(self, timeout: float = 30.0) -> None:
        if not self._deliveries.close():
            return
        deadline = time.monotonic() + timeout
        try:
            self._flush_all(deadline, timeout)
        finally:
            client = self._client.release()
            self._deliveries.give_up()
            self._give_up_suspects()
            if client is not None:
                self._client.let_go(client, max(0.0, deadline - time.monotonic()))

    def end(self, timeout: float) -> None:
        self.close(timeout)
        self._deliveries.wait(timeout)  # another thread may have begun to close it

    def forked(self) -> None:
        self._client.forked()
        self._begin(closed=self._deliveries.is_closed)

    def _flush_all(self, deadline: float, timeout: float) -> None:
        """Flush, what other threads have just begun to send too."""
        while True:
            self.flush(max(0.0, deadline - time.monotonic()))
            if self._deliveries.are_settled(LINGER_MS / 1000):
                return
            if time.monotonic() >= deadline:
                raise self._undelivered(timeout)

    def _hand_over(self, record: _Record) -> Any:
        client = self._client.connected()
        with translated(self._brokers):
            try:
                return client.send(record.topic, record.value, key=record.key, headers=record.headers)
            except kafka_errors.KafkaTimeoutError:
                # The client says only that time is up.
                if absent := absence(self._settings, self._brokers, record.topic):
                    raise absent from None
                raise

    def _refused(self, record: _Record, error: BaseException) -> None:
        ours = translate(error, self._brokers)
        if isinstance(ours, (TransientError, AccessDenied)) and not self._deliveries.given_up:
            self._report(record, ours)
            return
        self._client.replace()
        self._suspects.append(record)
        if self._deliveries.given_up:
            self._give_up_suspects()

    def _give_up_suspects(self) -> None:
        """Tell of each that nobody waits for it any more."""
        while (record := self._next_suspect()) is not None:
            self._report(record, closed_too_soon())

    def _next_suspect(self) -> _Record | None:
        try:
            return self._suspects.popleft()
        except IndexError:  # another thread may have taken the last one just now
            return None

    def _try_suspects(self, deadline: float = float("inf")) -> None:
        """Send again, each by itself, what failed for a reason that may be another message's.

        Returns when all of them are decided, those too that another thread has begun with, or soon after
        `deadline`.
        """
        if not self._one_by_one.acquire(timeout=_seconds_until(deadline)):
            return
        try:
            while time.monotonic() < deadline and (record := self._next_suspect()) is not None:
                self._try_alone(record, deadline)
        finally:
            self._one_by_one.release()

    def _try_alone(self, record: _Record, deadline: float) -> None:
        try:
            future = self._hand_over(record)
            with translated(self._brokers):
                future.get(min(_ALONE_TIMEOUT, max(0.0, deadline - time.monotonic())))
        except (TransientError, AccessDenied) as error:
            self._report(record, error)
        except QueueError as error:
            self._client.replace()
            self._report(record, error)
        else:
            self._report(record, None)

    def _report(self, record: _Record, error: QueueError | None) -> None:
        self._deliveries.decide(error, has_callback=record.on_delivery is not None)
        if record.on_delivery is not None:
            record.on_delivery(error)

    def _undelivered(self, timeout: float | None) -> DeliveryError:
        return DeliveryError(self._deliveries.take_undelivered(), self._why_silent(timeout or 0.0))

    def _why_silent(self, timeout: float) -> str:
        """Why nothing was acknowledged for so many seconds: which broker fails, if one does."""
        client = self._client.current
        addresses = set() if client is None else interface_for(self._settings).broker_addresses(client)
        outage = self._brokers.outage(addresses)
        return str(outage or f"none within {timeout:.3g} s from Kafka at {self._brokers}")


def _seconds_until(deadline: float) -> float:
    """For a lock's timeout."""
    return -1 if deadline == float("inf") else max(0.0, deadline - time.monotonic())
