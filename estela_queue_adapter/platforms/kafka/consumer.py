"""Reading from Kafka as a member of a consumer group."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.future import Future

from estela_queue_adapter.errors import QueueError, TopicMissing
from estela_queue_adapter.interfaces import Consumer, Message, PartitionListener, Position, Subscription
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_CONNECT_TIMEOUT_MS = 5_000
_ANSWER_TIMEOUT_MS = 10_000  # for a commit or a question, before the queue counts as unreachable
_CLOSE_TIMEOUT_MS = 3_000  # for leaving the group in good order; else the session's end leaves it
_SESSION_TIMEOUT_MS = 10_000  # how long the partitions of a reader that was killed wait for the next
_FETCH_BYTES = 16 * 1024 * 1024  # what one fetch may bring over all partitions: bounds the memory


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
        client = self._connected()
        with translated(self._where):
            fetched = client.poll(timeout_ms=int(timeout * 1000), max_records=max_messages)
        return [
            Message(
                record.topic, record.partition, record.offset, record.timestamp / 1000,
                record.key, record.value, record.headers,
            )
            for records in fetched.values()
            for record in records
        ]  # fmt: skip

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
        client, mine = self._connected(), self._connected().assignment()
        positions = []
        for partition in self._partitions():
            with translated(self._where):
                offset = (
                    client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) if partition in mine else None
                )
                if offset is None:
                    offset = client.committed(partition, timeout_ms=_ANSWER_TIMEOUT_MS)
                if offset is None:  # nobody in the group has read here yet
                    offset = client.beginning_offsets([partition], timeout_ms=_ANSWER_TIMEOUT_MS)[partition]
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
                    auto_offset_reset="earliest",
                    enable_auto_commit=False,
                    fetch_max_bytes=_FETCH_BYTES,
                    session_timeout_ms=_SESSION_TIMEOUT_MS,
                    bootstrap_timeout_ms=_CONNECT_TIMEOUT_MS,
                    allow_auto_create_topics=False,
                )
            # kafka-python 3.0 does not hand the option on: reading a topic would create it.
            client._cluster.config["allow_auto_create_topics"] = False
            client.subscribe([self._topic], listener=_Rebalances(client, self._listener, self._assigned))
            self._client = client
        return self._client

    def _partitions(self) -> list[TopicPartition]:
        with translated(self._where):
            numbers = self._connected().partitions_for_topic(self._topic)
        if not numbers:
            raise TopicMissing(f"there is no topic {self._topic} on Kafka at {self._where}")
        return [TopicPartition(self._topic, number) for number in sorted(numbers)]

    def _assigned(self, client: KafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        if self._paused:
            client.pause(*partitions)


class _Rebalances(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Runs our listener on a thread of its own, so that it may block and commit while heartbeats go on."""

    def __init__(
        self,
        client: KafkaConsumer,
        listener: PartitionListener,
        on_assigned: Callable[[KafkaConsumer, Collection[TopicPartition]], None],
    ) -> None:
        self._client = client
        self._listener = listener
        self._on_assigned = on_assigned

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._on_assigned(self._client, assigned)
        await self._aside(self._listener.partitions_assigned, assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._aside(self._listener.partitions_revoked, revoked)

    async def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        await self._aside(self._listener.partitions_lost, lost)

    async def _aside(
        self, call: Callable[[Collection[int]], None], partitions: Collection[TopicPartition]
    ) -> None:
        done = Future()

        def run() -> None:
            try:
                call([partition.partition for partition in partitions])
            except BaseException as error:  # noqa: BLE001  (it is raised again in poll)
                done.failure(error)
            else:
                done.success(None)
            self._client.commit_async(
                {}
            )  # commits nothing: it wakes the client's loop, which then sees `done`

        threading.Thread(target=run, name="estela-rebalance", daemon=True).start()
        await done
