"""librdkafka's producer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as ConfluentProducer

from estela_queue_adapter.errors import (
    MessageRejected,
    QueueError,
    QueueUnreachable,
    SerializationError,
    TopicDenied,
)
from estela_queue_adapter.lifecycle import interpreter_ended
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.kafka_python.producer_client import KafkaPythonProducer
from estela_queue_adapter.platforms.kafka.librdkafka.answers import Answers
from estela_queue_adapter.platforms.kafka.librdkafka.errors import translate
from estela_queue_adapter.platforms.kafka.librdkafka.handle import Handle
from estela_queue_adapter.platforms.kafka.librdkafka.health import Health
from estela_queue_adapter.platforms.kafka.librdkafka.log import LogLines
from estela_queue_adapter.platforms.kafka.librdkafka.options import client_options
from estela_queue_adapter.platforms.kafka.librdkafka.topics import AwaitedTopics
from estela_queue_adapter.platforms.kafka.producer_client import (
    BATCH_BYTES,
    LINGER_MS,
    METADATA_TIMEOUT_MS,
    Burst,
    Decided,
    ProducerClient,
    Record,
    closed_too_soon,
)
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_terminal.printable import printable_logger

_BUFFER_KBYTES = 32 * 1024  # as kafka-python's
_BUFFER_MESSAGES = 1_000_000  # the bytes above are the bound
_DELIVERY_TIMEOUT_MS = 120_000  # as kafka-python's
_FULL = 0.005  # seconds between two tries of a buffer that is full
_POLL = 0.1  # seconds
_topic_of = attrgetter("topic")
_OVERHEAD = 70  # bytes of a batch and a record around its fields

logger = printable_logger(__name__)


class LibrdkafkaProducer(ProducerClient):
    """One client for the life of a producer: librdkafka goes on after a rejection by itself.

    Its reports are called on a thread of ours.
    """

    def __init__(self, settings: KafkaSettings, brokers: Brokers) -> None:
        self._settings = settings
        self._brokers = brokers
        self._connecting = threading.RLock()  # held while connecting; see KafkaPythonProducer
        self._handle: Handle | None = None
        self._released = threading.Event()
        self._health = Health(settings, brokers)
        self._topics = AwaitedTopics(settings, brokers, self._health, METADATA_TIMEOUT_MS / 1000)
        self._answers = Answers(self._translated)
        self._odd = KafkaPythonProducer(settings, brokers)  # for headers that librdkafka cannot take

    def connect(self) -> None:
        self._connected()

    def check(self, record: Record) -> Record:
        size = len(record.value) + len(record.key or b"") + _OVERHEAD
        for name, value in record.headers:
            try:
                size += len(name.encode(errors="surrogateescape")) + len(value or b"")
            except (UnicodeEncodeError, AttributeError) as error:
                raise SerializationError(f"the header name {name!r} is no text: {error}") from error
        if size > self._settings.max_request_size:
            raise MessageRejected(
                f"Kafka at {self._brokers}: message size too large (The message is {size} bytes when "
                "serialized which is larger than QUEUE_PLATFORM_MAX_REQUEST_SIZE)"
            )
        return record

    def send(self, record: Record, decided: Decided) -> None:
        handle = self._connected()
        if _is_odd(record.headers):
            self.flush(_DELIVERY_TIMEOUT_MS / 1000)  # what was sent before comes before it
            self._odd.send(self._odd.check(record), decided)
            self._odd.flush(_DELIVERY_TIMEOUT_MS / 1000)
            return
        self._topics.wait_for(handle, record.topic)

        def report(error: KafkaError | None, _: Any) -> None:
            decided(None if error is None else self._translated(error, record.topic))

        deadline = time.monotonic() + METADATA_TIMEOUT_MS / 1000
        while True:
            with handle.use() as client:
                try:
                    client.produce(
                        record.topic,
                        record.value,
                        key=record.key,
                        headers=list(record.headers) or None,
                        on_delivery=report,
                    )
                except BufferError:
                    pass
                except KafkaException as raised:
                    error = self._translated(raised.args[0], record.topic)
                    if not isinstance(error, TopicDenied):
                        raise error from raised
                    decided(error)  # as a broker would have told
                    return
                else:
                    return
            if time.monotonic() > deadline:
                raise self._health.outage() or QueueUnreachable(
                    f"Kafka at {self._brokers}: it takes no messages, and the buffer is full"
                )
            time.sleep(_FULL)

    def send_burst(self, burst: Burst) -> None:
        handle = self._handle
        if handle is None:
            return
        with contextlib.suppress(QueueError, KafkaException), handle.use() as client:
            for topic, messages in groupby(burst.messages, _topic_of):
                if topic not in self._topics.known or not self._send_together(client, burst, topic, messages):
                    return

    def _send_together(self, client: Any, burst: Burst, topic: str, messages: Iterable[Any]) -> bool:
        """Hand over messages for one topic by one call; whether it was all of them."""
        longest = self._settings.max_request_size - _OVERHEAD
        note = partial(self._answers.note, burst)
        given: list[dict[str, Any]] = []
        fit = True
        for message in messages:
            data = message.data
            if not (fit := type(data) is bytes and len(data) <= longest):
                break
            given.append({"value": data, "callback": partial(note, message)})
        if client.produce_batch(topic, given) == len(given):
            burst.taken += len(given)
            return fit
        for each in given:
            if (error := each.get("_error")) is not None:
                if error.code() == KafkaError._QUEUE_FULL:  # and so are all behind it
                    return False
                each["callback"](error, None)  # as a broker would have told
            burst.taken += 1
        return fit

    def flush(self, timeout: float | None) -> bool:
        handle = self._handle
        if handle is None:
            return True
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._released.is_set():
            with handle.use() as client:
                waiting = client.flush(max(0.0, min(_POLL, deadline - time.monotonic())))
            told = self._answers.tell(max(0.0, min(_POLL, deadline - time.monotonic())))
            if not waiting and told:
                return True
            if time.monotonic() >= deadline:
                return False
        return True

    def replace(self) -> None:
        """Not needed."""

    def release(self) -> None:
        self._released.set()
        self._odd.release()

    def close(self, timeout: float) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close(self._purge, max(1.0, timeout))
        self._odd.close(timeout)

    def forked(self) -> None:
        if self._handle is not None:
            self._handle.abandon()
        self._odd.forked()

    def broker_addresses(self) -> set[str] | None:
        self._health.outage()
        return None

    def _purge(self, client: Any) -> None:
        """Give up what is not delivered, and tell whose it was."""
        client.purge()
        client.flush(1.0)
        self._answers.tell(1.0)

    def _translated(self, error: KafkaError, topic: str) -> QueueError:
        if error.code() in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
            return closed_too_soon()
        return translate(error, self._brokers, about=topic)

    def _connected(self) -> Handle:
        if (handle := self._handle) is not None:
            return handle
        with self._connecting:
            if self._released.is_set():
                raise closed_too_soon()
            if self._handle is None:
                connect_reader(self._settings, self._brokers, None).close(autocommit=False)  # or says why not
                self._handle = self._made()
            return self._handle

    def _made(self) -> Handle:
        if interpreter_ended():
            raise QueueUnreachable(f"Kafka at {self._brokers}: the interpreter is shutting down")
        options = {
            **client_options(self._settings),
            "acks": "all",
            "enable.idempotence": True,
            # Of two in flight the brokers of a topic that was just created may refuse the first and take the
            # second, and librdkafka then takes both for delivered.
            "max.in.flight": 1,
            "batch.size": BATCH_BYTES,
            "linger.ms": LINGER_MS,
            "message.max.bytes": max(1000, self._settings.max_request_size),
            "message.timeout.ms": _DELIVERY_TIMEOUT_MS,
            "queue.buffering.max.kbytes": max(_BUFFER_KBYTES, 2 * self._settings.max_request_size // 1024),
            "queue.buffering.max.messages": _BUFFER_MESSAGES,
            "compression.type": self._settings.compression or "none",
            "partitioner": "murmur2_random",
            "error_cb": self._health.note,
        }
        handle = Handle(ConfluentProducer(options, logger=LogLines()), closed_too_soon)
        thread = threading.Thread(
            target=_serve,
            args=(handle, self._answers, self._released),
            name="estela-deliveries",
            daemon=True,
        )
        thread.start()
        return handle


def _serve(handle: Handle, answers: Answers, released: threading.Event) -> None:
    """Have reports called until the producer is let go."""
    while not released.is_set():
        try:
            with handle.use() as client:
                client.poll(_POLL)
        except QueueError:
            return
        except Exception:  # a fault of somebody's `on_delivery`: all others are to be called all the same
            logger.exception("A report of a delivery failed.")
        answers.tell(_POLL)


def _is_odd(headers: Headers) -> bool:
    """Whether there are names that confluent-kafka cannot take.

    It reads names as C strings in UTF-8: it crashes at what is not UTF-8, and cuts at a NUL.
    """
    return any((not name.isascii() and _has_surrogates(name)) or "\0" in name for name, _ in headers)


def _has_surrogates(name: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in name)
