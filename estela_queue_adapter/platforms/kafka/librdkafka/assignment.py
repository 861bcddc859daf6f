"""The partitions that a reader of librdkafka owns, and where each goes on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from confluent_kafka import OFFSET_STORED, KafkaError, KafkaException, TopicPartition

from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.interfaces import PartitionListener
from estela_queue_adapter.messages import Message

_ANSWER_TIMEOUT = 10.0  # seconds
_BETWEEN_RESTARTS = 1.0  # seconds


class Assignment:
    """What the group has given to this reader. Its callbacks run in `Consumer.consume` and `close`.

    They never raise: confluent-kafka would lose what it has in hand. What they meet is kept in `failure`.
    """

    def __init__(
        self,
        topic: str,
        listener: PartitionListener,
        beginnings: Callable[[Collection[int]], Mapping[int, int]],
        *,
        cooperative: bool,
    ) -> None:
        self._topic = topic
        self._listener = listener
        self._beginnings = beginnings
        self._cooperative = cooperative
        self._restarted_at = float("-inf")
        self.next: dict[int, int] = {}
        """Where each partition goes on behind what was handed out; what is negative is not known yet."""
        self.held: list[Message] = []
        """What was taken and not handed out, as the reader was paused."""
        self.stopped = False
        """Whether nothing is fetched."""
        self.failure: BaseException | None = None

    def subscribe(self, client: Any) -> None:
        """Join the group."""
        client.subscribe(
            [self._topic],
            on_assign=lambda client, given: self._guarded(self._on_assign, client, given),
            on_revoke=lambda client, taken: self._guarded(self._on_revoke, client, taken),
            on_lost=lambda client, taken: self._guarded(self._on_lost, client, taken),
        )

    def take_failure(self) -> BaseException | None:
        """What a callback raised, once."""
        failure, self.failure = self.failure, None
        return failure

    def position(self, partition: int) -> int:
        """What is handed out next; negative if that is not known yet."""
        held = (message.offset for message in self.held if message.partition == partition)
        return next(held, self.next.get(partition, OFFSET_STORED))

    def stop(self, client: Any) -> None:
        """Fetch nothing of all that is owned. What was fetched is dropped."""
        self.stopped = True
        client.pause(self._partitions(self.next))

    def start(self, client: Any) -> None:
        """Fetch again, from where each goes on.

        That has to be said: librdkafka may hand out again what was taken by `consume` before the pause.
        """
        self.stopped = False
        client.resume(self._partitions(self.next))
        self.go_on_at(client, {partition: at for partition, at in self.next.items() if at >= 0})

    def go_on_at(self, client: Any, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on. What was fetched of them is dropped."""
        owned = {partition: at for partition, at in offsets.items() if partition in self.next}
        self.next.update(owned)
        for position in self._positions(owned):
            if not self._is_moved(client, position):
                self._restart(client, position.partition)

    def _is_moved(self, client: Any, position: TopicPartition) -> bool:
        """Whether it could be moved: not to what is committed, nor if librdkafka gave up reading it."""
        if position.offset == OFFSET_STORED:
            return False
        try:
            client.seek(position)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE:
                raise
            return False
        return True

    def _restart(self, client: Any, partition: int) -> None:
        """Assign it again, which is the only way.

        Not twice in a moment: librdkafka would stop what it is stopping, and abort the process (`Assertion
        rktp->rktp_started`).
        """
        time.sleep(max(0.0, self._restarted_at + _BETWEEN_RESTARTS - time.monotonic()))
        if self._cooperative:
            client.incremental_unassign(self._partitions([partition]))
            client.incremental_assign(self._positions([partition]))
        else:
            client.assign(self._positions(self.next))
        self._restarted_at = time.monotonic()
        if self.stopped:
            self.stop(client)

    def _guarded(self, call: Callable[[Any, Any], None], client: Any, partitions: list[Any]) -> None:
        try:
            call(client, partitions)
        except BaseException as error:  # noqa: BLE001  (raised again when the poll has what it took)
            self.failure = self.failure or error

    def _on_assign(self, client: Any, given: list[Any]) -> None:
        self.next.update((partition.partition, OFFSET_STORED) for partition in given)
        with contextlib.suppress(
            KafkaException, QueueError
        ):  # then librdkafka asks itself, and `Intake` is told
            given = self._begun(client, given)
        if self._cooperative:
            client.incremental_assign(given)
        else:
            client.assign(given)
        if self.stopped:
            client.pause(given)
        self._listener.partitions_assigned([partition.partition for partition in given])

    def _begun(self, client: Any, given: list[Any]) -> list[Any]:
        """Where the group is in these; their beginnings if it is new to them."""
        begun = client.committed(given, _ANSWER_TIMEOUT)
        new = [position for position in begun if position.offset < 0 and position.error is None]
        beginnings = self._beginnings([position.partition for position in new]) if new else {}
        for position in new:
            position.offset = beginnings[position.partition]
        return list(begun)

    def _on_revoke(self, client: Any, taken: list[Any]) -> None:
        try:
            self._listener.partitions_revoked([partition.partition for partition in taken])
        finally:
            self._forget(taken)

    def _on_lost(self, client: Any, taken: list[Any]) -> None:
        try:
            self._listener.partitions_lost([partition.partition for partition in taken])
        finally:
            self._forget(taken)

    def _forget(self, taken: list[Any]) -> None:
        for partition in taken:
            self.next.pop(partition.partition, None)
        self.held = [message for message in self.held if message.partition in self.next]

    def _partitions(self, partitions: Collection[int]) -> list[Any]:
        return [TopicPartition(self._topic, partition) for partition in partitions]

    def _positions(self, partitions: Collection[int]) -> list[Any]:
        return [TopicPartition(self._topic, partition, self.next[partition]) for partition in partitions]
