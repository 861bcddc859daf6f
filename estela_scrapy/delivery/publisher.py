"""The threads between the reactor and the queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from estela_queue_adapter import Producer
from estela_queue_adapter.backoff import LONGEST_PAUSE
from estela_queue_adapter.errors import QueueError, TopicDenied, TopicMissing, is_refusal
from estela_scrapy.delivery.buffer import BURST, DeliveryBuffer, Mode, Undelivered
from estela_scrapy.delivery.counts import DeliveryCounts
from estela_scrapy.delivery.health import ClosedTopics, OutboxHealth, QueueHealth
from estela_scrapy.delivery.outbox import Outbox, OutboxError, PendingMessage, RefusedMessage
from estela_terminal.printable import printable_logger

_BURST_INTERVAL = 0.05  # seconds between two bursts
_FLUSH_STEP = 0.5  # seconds
_END_TIMEOUT = 2.0  # seconds for a thread to end; one that waits for the network is not waited for

logger = printable_logger(__name__)


class Publisher:
    """Takes messages from any thread, without ever waiting, and brings them to the queue.

    A message is kept until the queue has acknowledged it: in memory, `buffer_bytes` at most, or in the
    outbox. One that the queue refuses for good stays in the outbox with the reason.

    `start` begins two threads, and `close` ends them. The sender hands what waits to the producer, in bursts,
    so that an item wakes no thread. The spiller moves what waits in memory to the outbox while the queue is
    unavailable or slower than the crawl: the sender may be waiting for the network then. The producer reports
    what became of a message on a thread of its own, or on the sender. What they share guards itself: the
    buffer, the counts, the closed topics and the health of queue and outbox. `wait` and `close` block, so no
    reactor calls them.
    """

    def __init__(
        self,
        open_producer: Callable[[], Producer],
        outbox: Outbox,
        *,
        buffer_bytes: int,
        mode: Mode = Mode.OVERFLOW,
        interval: float = 0.1,
    ) -> None:
        self._open_producer = open_producer
        self._session = outbox.session
        self._buffer = DeliveryBuffer(outbox, buffer_bytes, mode)
        self._mode = mode
        self._interval = interval
        self._counting = threading.Lock()  # held from when a refusal leaves the buffer until it is counted
        self.counts = DeliveryCounts()
        self._health = QueueHealth()
        self._outbox_health = OutboxHealth()
        self._closed_topics = ClosedTopics()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to send. What was put before is sent too."""
        for name, work in (("sender", self._send_all), ("spiller", self._spill_all)):
            thread = threading.Thread(target=work, name=f"estela-publisher-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def put(self, stream: str, topic: str, data: bytes) -> None:
        """Take a message. Never blocks and never refuses; see `full`."""
        self._buffer.put(stream, topic, data)

    @property
    def full(self) -> bool:
        """Whether memory holds all that it may."""
        return self._buffer.full

    def accepted(self, stream: str) -> int:
        """How many messages of the stream were put."""
        return self._buffer.accepted(stream)

    def wait(self, timeout: float) -> bool:
        """Block until all is answered and counted, `timeout` seconds at most; whether it is."""
        deadline = time.monotonic() + timeout
        while not self._idle(deadline):
            if time.monotonic() > deadline or self._ended.wait(_BURST_INTERVAL / 2):
                return self._idle(deadline)
        return True

    def _idle(self, deadline: float) -> bool:
        """Whether nothing remains to be sent or counted."""
        if not self._counting.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        try:
            return self._buffer.idle
        finally:
            self._counting.release()

    def close(self) -> Undelivered:
        """End; what is not acknowledged is kept in the outbox. Blocks for some seconds at most.

        What is put afterwards is kept by the next call.
        """
        self._health.close()
        self._ended.set()
        for thread in self._threads:
            thread.join(_END_TIMEOUT)
        with self._counting:
            undelivered, refused = self._buffer.close()
            counted = self._count_refused(refused)
        _log_refused(counted)
        return undelivered

    def _spill_all(self) -> None:
        while True:
            try:
                self._spill()
                self._outbox_health.worked("spiller")
            except OutboxError as error:
                self._buffer.note_file(usable=False)
                self._outbox_health.failed("spiller", error)
            except Exception:  # noqa: BLE001  (without this thread the crawl would wait for ever)
                self._wait_after_fault()
            if self._ended.wait(self._interval):
                return

    def _spill(self) -> None:
        """Move to the outbox what should be there. Raises OutboxError."""
        self._buffer.open_file()
        unavailable = self._health.unavailable
        if unavailable:
            self._buffer.persist_in_flight()
        too_much = self._buffer.half_full or self._buffer.waits_long()
        if self._mode is Mode.ALWAYS or unavailable or too_much:
            self.counts.spill(self._buffer.spill())
        self._buffer.note_file(usable=True)

    def _send_all(self) -> None:
        producer = self._open_producer()
        while not self._ended.is_set():
            sent = 0
            try:
                sent = self._send_burst(producer)
                self._outbox_health.worked("sender")
            except OutboxError as error:
                self._outbox_health.failed("sender", error)
            except Exception:  # noqa: BLE001  (as above: a platform may have faults of its own)
                self._wait_after_fault()
            if sent < BURST:
                self._ended.wait(_BURST_INTERVAL)
        try:
            producer.close(0.0)
        except QueueError as error:
            logger.debug("Closing the producer: %s", error)

    def _send_burst(self, producer: Producer) -> int:
        """One burst; how many were sent, or a full burst's number if it is time for the next."""
        self._apply_outcomes()
        if self._buffer.any_requeued:
            self._restore(producer)
            return 0
        messages = self._buffer.take()
        more = self._buffer.in_flight_full  # there may be: what is taken is bounded by what may be in flight
        if messages:
            producer.send_all(self._to_open_topics(messages), self._answered)
        if not messages and self._buffer.in_flight:
            self._flush(producer)
        self._health.check_silence(self._buffer.in_flight)
        return BURST if more else len(messages)

    def _to_open_topics(self, messages: list[PendingMessage]) -> list[PendingMessage]:
        """Those that can be sent now; the others are answered with why not."""
        closed = self._closed_topics.errors()
        if not closed:
            return messages
        for message in messages:
            if message.topic in closed:
                self._apply_failure(message, closed[message.topic])
        return [message for message in messages if message.topic not in closed]

    def _restore(self, producer: Producer) -> None:
        """Wait until nothing is in flight, then a little longer, and go on at the first that came back."""
        while self._buffer.in_flight:
            self._flush(producer)
            if self._ended.is_set():
                return
        self._buffer.restore()
        self._ended.wait(self._health.pause_after_failed_round())

    def _flush(self, producer: Producer) -> None:
        try:
            producer.flush(_FLUSH_STEP)
        except QueueError as error:
            self._health.not_acknowledged(error)
        self._health.check_silence(self._buffer.in_flight)

    def _apply_outcomes(self) -> None:
        with self._counting:
            counted = self._count_refused(self._buffer.apply_outcomes())
        _log_refused(counted)

    def _count_refused(self, refused: list[RefusedMessage]) -> list[tuple[RefusedMessage, int]]:
        """Each with how many of its stream were refused by then. With `_counting` held."""
        return [(one, self.counts.reject(one.message.stream)) for one in refused]

    def _answered(self, messages: Sequence[PendingMessage], error: QueueError | None) -> None:
        """What the queue says of messages; called once for each that was sent, from any thread."""
        if error is None:
            # Counted before they leave the buffer: whoever finds that idle reads the counts.
            self.counts.acknowledge(messages, self._session)
            self._buffer.acknowledge(messages)
            self._health.acknowledged()
            return
        for message in messages:
            if isinstance(error, (TopicDenied, TopicMissing)):
                self._closed_topics.close(message.topic, error)
            self._apply_failure(message, error)

    def _apply_failure(self, message: PendingMessage, error: QueueError) -> None:
        if is_refusal(error):
            self._buffer.refuse(message, str(error))
        else:
            self._buffer.requeue(message)
            self._health.failed(error)

    def _wait_after_fault(self) -> None:
        """Log it with its traceback, as no fault is expected; seldom, as it may come again at once."""
        logger.exception("The publisher failed. It tries again in %.0f s.", LONGEST_PAUSE)
        self._ended.wait(LONGEST_PAUSE)


def _log_refused(counted: list[tuple[RefusedMessage, int]]) -> None:
    for (message, reason), count in counted:
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
            logger.error(
                "The queue refuses a message for %s (%d so far); it is kept in the outbox: %s",
                message.topic,
                count,
                reason,
            )
