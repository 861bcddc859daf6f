"""What librdkafka cannot hand over as it is: read by kafka-python, which tells it in the adapter's words."""

from __future__ import annotations

import time

from kafka import TopicPartition

from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.messages import Message
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_TIMEOUT = 30.0  # seconds: a batch that fails its checksum is fetched for 6.3 s
_POLL = 0.5  # seconds
_ANSWER_TIMEOUT_MS = 10_000


def read_at(
    settings: KafkaSettings, brokers: Brokers, topic: str, partition: int, offset: int, count: int
) -> tuple[list[Message], int]:
    """At most `count` messages from this offset on, at least one step forward; and where to go on.

    Blocks; raises our errors.
    """
    client = connect_reader(settings, brokers, None, auto_offset_reset="none")
    reader, at = interface_for(settings).reader(client), TopicPartition(topic, partition)
    deadline = time.monotonic() + _TIMEOUT
    try:
        with translated(brokers, reading=True):
            client.assign([at])
            client.seek(at, offset)
            while time.monotonic() < deadline:
                messages = reader.poll(_POLL, count)
                position = client.position(at, timeout_ms=_ANSWER_TIMEOUT_MS) or offset
                if messages or position > offset:
                    return messages, position
    finally:
        client.close(autocommit=False, timeout_ms=1000)
    raise brokers.outage() or QueueUnreachable(
        f"Kafka at {brokers} sends nothing at offset {offset} of partition {partition} of {topic}"
    )
