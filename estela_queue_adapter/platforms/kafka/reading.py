"""Reading a topic from end to end, outside every group."""

from __future__ import annotations

from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition

from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.messages import Message
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
