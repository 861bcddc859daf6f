"""Publishing to Kafka: idempotent, acknowledged by every in-sync replica."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from estela_queue_adapter.errors import (
    AccessDenied,
    DeliveryError,
    ProducerClosed,
    QueueError,
    QueueUnreachable,
    TransientError,
)
from estela_queue_adapter.interfaces import A, OnDeliveries, OnDelivery, Producer
from estela_queue_adapter.lifecycle import watch
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.deliveries import Deliveries
from estela_queue_adapter.platforms.kafka.producer_client import (
    LINGER_MS,
    Burst,
    ProducerClient,
    Record,
    closed_too_soon,
)
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.serialization import serialize
from estela_queue_adapter.topic_names import checked_topic
from estela_terminal.printable import printable_logger

MakeClient: TypeAlias = Callable[[KafkaSettings, Brokers], ProducerClient]

_ALONE_TIMEOUT = 30.0  # seconds for a message that is sent again by itself

logger = printable_logger(__name__)


class IdempotentProducer(Producer):
    """A client's producer, connected at the first use.

    A broker that refuses one message refuses its batch: kafka-python fails everything in flight with the same
    error and sends nothing more, librdkafka fails the messages of that batch. So each of these is sent again
    by itself, which tells the guilty one from its neighbours. A neighbour that had arrived all the same is
    in the topic twice then; consumers know it by the id in its envelope.
    """

    def __init__(self, settings: KafkaSettings, make_client: MakeClient) -> None:
        self._settings = settings
        self._make_client = make_client
        self._begin(closed=False)
        watch(self)

    def _begin(self, *, closed: bool) -> None:
        """With no client yet, and nothing in flight."""
        self._brokers = Brokers(self._settings)
        self._client = self._make_client(self._settings, self._brokers)
        self._deliveries = Deliveries(closed=closed)
        self._suspects: deque[Record] = deque()  # the client's thread adds to it
        # Held while suspects are sent again. It may be taken again, as signal handlers may send meanwhile.
        self._one_by_one = threading.RLock()

    def get_connection(self) -> bool:
        self._deliveries.check_open()
        try:
            self._client.connect()
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
        record = self._client.check(Record(checked_topic(topic), serialize(data), key, headers, on_delivery))
        if self._suspects:
            self._try_suspects()
        self._deliveries.begin()
        try:
            self._client.send(record, lambda error: self._decided(record, error))
        except BaseException as error:
            self._deliveries.cancel()
            if self._deliveries.is_closed and isinstance(error, QueueError):
                raise ProducerClosed("the producer was closed meanwhile") from error
            raise

    def send_all(self, messages: Sequence[A], on_deliveries: OnDeliveries[A]) -> None:
        taken = 0 if self._suspects else self._send_burst(messages, on_deliveries)
        if taken < len(messages):
            super().send_all(messages[taken:], on_deliveries)

    def _send_burst(self, messages: Sequence[A], on_deliveries: OnDeliveries[A]) -> int:
        """Hand over what the client takes at once; how many."""
        burst = Burst(messages, partial(self._all_decided, on_deliveries))
        try:
            self._deliveries.begin(len(messages))
        except ProducerClosed:  # as `send` will say
            return 0
        try:
            self._client.send_burst(burst)
        finally:
            self._deliveries.cancel(len(messages) - burst.taken)
        return burst.taken

    def flush(self, timeout: float | None = None) -> None:
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        if not self._client.flush(timeout):
            raise self._undelivered(timeout)
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
            self._client.release()
            self._deliveries.give_up()
            self._give_up_suspects()
            self._client.close(max(0.0, deadline - time.monotonic()))

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

    def _all_decided(
        self, on_deliveries: OnDeliveries[A], messages: Sequence[A], error: QueueError | None
    ) -> None:
        if error is None:
            self._deliveries.acknowledge(len(messages))
            on_deliveries(messages, None)
            return
        for message in messages:
            self._decided(
                Record(message.topic, message.data, None, (), partial(on_deliveries, (message,))), error
            )

    def _decided(self, record: Record, error: QueueError | None) -> None:
        passes = error is None or isinstance(error, (TransientError, AccessDenied))
        if passes and not (error is not None and self._deliveries.given_up):
            self._report(record, error)
            return
        self._client.replace()
        self._suspects.append(record)
        if self._deliveries.given_up:
            self._give_up_suspects()

    def _give_up_suspects(self) -> None:
        """Tell of each that nobody waits for it any more."""
        while (record := self._next_suspect()) is not None:
            self._report(record, closed_too_soon())

    def _next_suspect(self) -> Record | None:
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

    def _try_alone(self, record: Record, deadline: float) -> None:
        decided: queue.SimpleQueue[QueueError | None] = queue.SimpleQueue()
        timeout = min(_ALONE_TIMEOUT, max(0.0, deadline - time.monotonic()))
        error: QueueError | None
        try:
            self._client.send(record, decided.put)
            error = decided.get(timeout=timeout)
        except QueueError as raised:
            error = raised
        except queue.Empty:
            error = QueueUnreachable(self._why_silent(timeout))
        if error is not None and not isinstance(error, (TransientError, AccessDenied)):
            self._client.replace()
        self._report(record, error)

    def _report(self, record: Record, error: QueueError | None) -> None:
        self._deliveries.decide(error, has_callback=record.on_delivery is not None)
        if record.on_delivery is not None:
            record.on_delivery(error)

    def _undelivered(self, timeout: float | None) -> DeliveryError:
        return DeliveryError(self._deliveries.take_undelivered(), self._why_silent(timeout or 0.0))

    def _why_silent(self, timeout: float) -> str:
        """Why nothing was acknowledged for so many seconds: which broker fails, if one does."""
        outage = self._brokers.outage(self._client.broker_addresses())
        return str(outage or f"none within {timeout:.3g} s from Kafka at {self._brokers}")


def _seconds_until(deadline: float) -> float:
    """For a lock's timeout."""
    return -1 if deadline == float("inf") else max(0.0, deadline - time.monotonic())
