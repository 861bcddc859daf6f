"""Reading outside every group: a topic from end to end, or single messages of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator

from kafka import KafkaConsumer, TopicPartition

from estela_queue_adapter.errors import QueueError, QueueUnreachable
from estela_queue_adapter.interfaces import Peek
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.interface.public import PublicReader
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import partitions_of
from estela_queue_adapter.topic_names import checked_topic

_ANSWER_TIMEOUT_MS = 10_000
_SILENT_POLLS = 6  # of 5 s each without a step forward, before the queue counts as unavailable
_POLL = 5.0  # seconds
_PEEK = 1.0  # seconds that a message may take which is there


def read_topic(settings: KafkaSettings, topic: str) -> Iterator[Message]:
    """Every committed message that is in `topic` now; see `Platform.read`."""
    brokers = Brokers(settings)
    checked_topic(topic)
    client = connect_reader(settings, brokers, None, auto_offset_reset="earliest")
    reader = interface_for(settings).reader(client)
    try:
        partitions = partitions_of(client, settings, brokers, topic)
        with translated(brokers):
            ends = client.end_offsets(partitions, timeout_ms=_ANSWER_TIMEOUT_MS)
        for partition in partitions:
            yield from _read_partition(client, reader, partition, ends[partition], brokers)
    finally:
        client.close(autocommit=False, timeout_ms=1000)


def _read_partition(
    client: KafkaConsumer, reader: PublicReader, partition: TopicPartition, end: int, brokers: Brokers
) -> Iterator[Message]:
    with translated(brokers):
        client.assign([partition])
        client.seek_to_beginning(partition)
        position = client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) or 0
    silent = 0
    while position < end:
        with translated(brokers):
            messages = reader.poll(_POLL)
            before, position = position, client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) or 0
        yield from (message for message in messages if message.offset < end)
        silent = 0 if position > before else silent + 1
        if silent == _SILENT_POLLS:
            raise brokers.outage() or QueueUnreachable(
                f"Kafka at {brokers} has stopped answering for {partition}"
            )


class KafkaPeek(Peek):
    """Fetches the batch that a message is in, and no more, on a connection of its own."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._brokers = Brokers(settings)
        self._topic = checked_topic(topic)
        self._client: KafkaConsumer | None = None
        self._reader: PublicReader | None = None

    def times(self, positions: Iterable[Position]) -> dict[int, float]:
        client, reader = self._connected()
        wanted = {TopicPartition(self._topic, partition): offset for _, partition, offset in positions}
        found: dict[int, float] = {}
        with translated(self._brokers):
            client.assign(list(wanted))
            for partition, offset in wanted.items():
                client.seek(partition, offset)
            deadline = time.monotonic() + _PEEK
            while wanted and (remaining := deadline - time.monotonic()) > 0:
                for message in reader.poll(remaining, 1):
                    found.setdefault(message.partition, message.timestamp)
                    wanted.pop(TopicPartition(self._topic, message.partition), None)
                client.pause(*(client.assignment() - wanted.keys()))
            client.unsubscribe()
        return {partition: seconds for partition, seconds in found.items() if seconds > 0}

    def close(self) -> None:
        client, self._client, self._reader = self._client, None, None
        if client is not None:
            with contextlib.suppress(QueueError), translated(self._brokers):
                client.close(autocommit=False, timeout_ms=1000)

    def _connected(self) -> tuple[KafkaConsumer, PublicReader]:
        if self._client is None or self._reader is None:
            self._client = connect_reader(
                self._settings,
                self._brokers,
                None,
                auto_offset_reset="earliest",  # what was there is gone: what comes then is the first
                fetch_max_bytes=1,  # brokers send one batch, however large it is
                max_partition_fetch_bytes=1,
            )
            self._reader = interface_for(self._settings).reader(self._client)
        return self._client, self._reader
