"""Reading from Kafka as a member of a consumer group."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import QueueError, TopicMissing
from estela_queue_adapter.interfaces import Consumer, Message, PartitionListener, Position, Subscription
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.rebalances import Rebalances
from estela_queue_adapter.platforms.kafka.records import read_as_messages
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_CONNECT_TIMEOUT_MS = 5_000
_ANSWER_TIMEOUT_MS = 10_000  # for a commit or a question, before the queue counts as unreachable
_CLOSE_TIMEOUT_MS = 3_000  # for leaving the group in good order; else the session's end leaves it
_SESSION_TIMEOUT_MS = 10_000  # how long the partitions of a reader that was killed wait for the next
_FETCH_BYTES = 16 * 1024 * 1024  # what one fetch may bring over all partitions: bounds the memory
_STALL = 30.0  # seconds without a message after which it is looked whether there are any

logger = logging.getLogger(__name__)


class KafkaGroupConsumer(Consumer):
    """kafka-python's consumer, connected at the first use; it heartbeats on a thread of its own."""

    def __init__(
        self, settings: KafkaSettings, subscription: Subscription, listener: PartitionListener
    ) -> None:
        self._settings = settings
        self._subscription = subscription
        self._listener = listener
        self._topic = subscription.topic
        self._where = ",".join(settings.bootstrap_servers)
        self._client: KafkaConsumer | None = None
        self._paused = False
        self._moved_at = time.monotonic()

    @property
    def subscription(self) -> Subscription:
        return self._subscription

    def get_connection(self) -> bool:
        try:
            self._connected()
        except QueueError:
            return False
        return True

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        client, deadline = self._connected(), time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            with translated(self._where):
                try:
                    fetched = client.poll(timeout_ms=int(left * 1000), max_records=max_messages)
                except kafka_errors.NoOffsetForPartitionError as error:  # the group is new to these
                    client.seek_to_beginning(*error.args[0])
                except kafka_errors.OffsetOutOfRangeError as error:
                    self._over_the_gap(client, error.args[0])
                except kafka_errors.LogTruncationError as error:
                    self._after_truncation(client, error.divergent_offsets)
                else:
                    break
        if fetched or self._paused:
            self._moved_at = time.monotonic()
        elif time.monotonic() - self._moved_at > _STALL:
            self._moved_at = time.monotonic()
            self._reconnect_if_stalled(client)
        return list(chain.from_iterable(fetched.values()))

    def commit(self, positions: Iterable[Position]) -> None:
        offsets = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
            for topic, partition, offset in positions
        }
        if offsets:
            with translated(self._where):
                self._connected().commit(offsets, timeout_ms=_ANSWER_TIMEOUT_MS)

    def pause(self) -> None:
        self._paused = True
        if self._client is not None:
            self._client.pause(*self._client.assignment())

    def resume(self) -> None:
        self._paused = False
        if self._client is not None:
            self._client.resume(*self._client.assignment())

    def positions(self) -> Sequence[Position]:
        positions = []
        for partition in self._partitions():
            with translated(self._where):
                offset = self._position(self._connected(), partition)
            positions.append(Position(self._topic, partition.partition, offset))
        return positions

    def end_positions(self) -> Sequence[Position]:
        partitions = self._partitions()
        with translated(self._where):
            ends = self._connected().end_offsets(partitions, timeout_ms=_ANSWER_TIMEOUT_MS)
        return [Position(self._topic, partition.partition, offset) for partition, offset in ends.items()]

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with translated(self._where):
                client.close(timeout_ms=_CLOSE_TIMEOUT_MS)

    def _connected(self) -> KafkaConsumer:
        if self._client is None:
            with translated(self._where):
                client = KafkaConsumer(
                    **self._settings.client_options(),
                    group_id=self._subscription.group_id,
                    auto_offset_reset="none",  # so that we see, and can tell, where messages are gone
                    isolation_level="read_committed",
                    partition_assignment_strategy=self._settings.assignors,
                    enable_auto_commit=False,
                    fetch_max_bytes=_FETCH_BYTES,
                    session_timeout_ms=_SESSION_TIMEOUT_MS,
                    bootstrap_timeout_ms=_CONNECT_TIMEOUT_MS,
                    allow_auto_create_topics=False,
                )
            # kafka-python 3.0 does not hand the option on: reading a topic would create it.
            client._cluster.config["allow_auto_create_topics"] = False
            read_as_messages(client)
            client.subscribe([self._topic], listener=Rebalances(client, self._listener, self._assigned))
            self._client = client
        return self._client

    def _partitions(self) -> list[TopicPartition]:
        with translated(self._where):
            numbers = self._connected().partitions_for_topic(self._topic)
        if not numbers:
            raise TopicMissing(f"there is no topic {self._topic} on Kafka at {self._where}")
        return [TopicPartition(self._topic, number) for number in sorted(numbers)]

    def _position(self, client: KafkaConsumer, partition: TopicPartition) -> int:
        offset = None
        if partition in client.assignment():
            try:
                offset = client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS)
            except kafka_errors.NoOffsetForPartitionError:
                offset = None  # the next poll goes to the beginning
        if offset is None:
            offset = client.committed(partition, timeout_ms=_ANSWER_TIMEOUT_MS)
        return self._beginning(client, partition) if offset is None else int(offset)

    def _beginning(self, client: KafkaConsumer, partition: TopicPartition) -> int:
        return int(client.beginning_offsets([partition], timeout_ms=_ANSWER_TIMEOUT_MS)[partition])

    def _over_the_gap(self, client: KafkaConsumer, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at the earliest message that is left."""
        for partition, position in positions.items():
            earliest = self._beginning(client, partition)
            client.seek(partition, earliest)
            self._listener.messages_gone(partition.partition, position, earliest)

    def _after_truncation(
        self, client: KafkaConsumer, ends: Mapping[TopicPartition, OffsetAndMetadata | None]
    ) -> None:
        """The brokers lost the end of a partition that was read already: go on where it ends now."""
        for partition, end in ends.items():
            position = client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) or 0
            resumed = self._beginning(client, partition) if end is None else int(end.offset)
            client.seek(partition, resumed)
            self._listener.messages_gone(partition.partition, position, resumed)

    def _reconnect_if_stalled(self, client: KafkaConsumer) -> None:
        """Let go of a client that gets nothing although there is something: the next poll makes a new one.

        kafka-python's fetcher can, rarely, go round in circles after its first join; only a new one ends it.
        """
        with translated(self._where):
            mine = list(client.assignment())
            ends = client.end_offsets(mine, timeout_ms=_ANSWER_TIMEOUT_MS) if mine else {}
            waiting = sum(
                max(0, end - (client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) or 0))
                for partition, end in ends.items()
            )
            if waiting:
                logger.warning(
                    "%s: %d messages wait, and the client has brought none for %.0f s: connecting anew.",
                    self._topic,
                    waiting,
                    _STALL,
                )
                client.close(timeout_ms=_CLOSE_TIMEOUT_MS)
                self._client = None

    def _assigned(self, client: KafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        if self._paused:
            client.pause(*partitions)
