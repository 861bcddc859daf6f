"""RebalanceListener, as our listener learns of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.future import Future

from estela_queue_adapter.interfaces import PartitionListener
from estela_queue_adapter.platforms.kafka.interface.public import PublicReader


class RebalanceListener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Runs our listener on a thread of its own, so that it may block and commit while heartbeats go on."""

    def __init__(
        self,
        client: KafkaConsumer,
        reader: PublicReader,
        listener: PartitionListener,
        on_assigned: Callable[[KafkaConsumer, Collection[TopicPartition]], None],
    ) -> None:
        self._client = client
        self._reader = reader
        self._listener = listener
        self._on_assigned = on_assigned

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._on_assigned(self._client, assigned)
        self._reader.assigned(assigned)
        await self._on_own_thread(self._listener.partitions_assigned, assigned)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        try:
            await self._on_own_thread(self._listener.partitions_revoked, revoked)
        finally:
            self._reader.revoked(revoked)

    async def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        await self._on_own_thread(self._listener.partitions_lost, lost)

    async def _on_own_thread(
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
