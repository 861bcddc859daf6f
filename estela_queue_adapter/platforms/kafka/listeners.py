"""Who learns of a rebalance, in which order."""

from __future__ import annotations

from collections.abc import Collection

from estela_queue_adapter.interfaces import Consumer, PartitionListener


class LoopsThenListener(PartitionListener):
    """Tells loops of a rebalance, then the consumer's own listener."""

    def __init__(self, consumer: Consumer, listener: PartitionListener) -> None:
        self._consumer = consumer
        self._listener = listener

    def partitions_assigned(self, partitions: Collection[int]) -> None:
        self._listener.partitions_assigned(partitions)

    def partitions_revoked(self, partitions: Collection[int]) -> None:
        try:
            self._consumer.iteration.revoked(partitions, self._consumer.commit)
        finally:
            self._listener.partitions_revoked(partitions)

    def partitions_lost(self, partitions: Collection[int]) -> None:
        self._consumer.iteration.lost(partitions)
        self._listener.partitions_lost(partitions)
