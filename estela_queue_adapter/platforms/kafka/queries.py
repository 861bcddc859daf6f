"""Questions about a topic and what its group has committed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence

from kafka import KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import QueueUnreachable, TopicDenied
from estela_queue_adapter.messages import Position
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.lifetime import Lifetime
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import absence, look_up, partitions_of
from estela_queue_adapter.subscription import Subscription
from estela_terminal.printable import printable_logger

ANSWER_TIMEOUT_MS = 10_000  # for a commit or a question, before the queue counts as unreachable

logger = printable_logger(__name__)


class TopicQueries:
    """Asks on connections of its own, which join no group; each is made at its first question.

    A broker answers one request of a connection after the other, and a join of the group only when every
    member has joined: a question behind it would keep the reader from polling, and so from joining.
    """

    def __init__(
        self, settings: KafkaSettings, subscription: Subscription, brokers: Brokers, lifetime: Lifetime
    ) -> None:
        self._settings = settings
        self._group_id = subscription.group_id
        self._topic = subscription.topic
        self._brokers = brokers
        self._lifetime = lifetime
        self._query_client: KafkaConsumer | None = None
        self._uncommitted_query_client: KafkaConsumer | None = None
        self.unanswered = False
        """Whether the last question had no answer: the queue is not back before one has."""
        self._told: set[TopicPartition] = set()  # what is before the group's first position in it

    def partitions(self) -> list[TopicPartition]:
        """The topic's partitions, in their order."""
        with self.answered():
            return partitions_of(self._client(), self._settings, self._brokers, self._topic)

    def ends(self) -> Sequence[Position]:
        """The end of what may be read of each partition."""
        return self._ends(self._client())

    def log_ends(self) -> Sequence[Position]:
        """The same with what nobody may read yet."""
        self._lifetime.check_open()
        if self._uncommitted_query_client is None:
            self._uncommitted_query_client = connect_reader(
                self._settings, self._brokers, None, isolation_level="read_uncommitted"
            )
        return self._ends(self._uncommitted_query_client)

    def committed(self, partition: TopicPartition) -> int:
        """What the group has committed, else the partition's beginning."""
        offset = self._client().committed(partition, timeout_ms=ANSWER_TIMEOUT_MS)
        return self.beginnings([partition])[partition] if offset is None else int(offset)

    def beginnings(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Where a group begins that has no position in these; says once what there was before."""
        offsets = self._client().beginning_offsets(list(partitions), timeout_ms=ANSWER_TIMEOUT_MS)
        for partition, offset in offsets.items():
            if offset > 0 and partition not in self._told:
                self._told.add(partition)
                self._warn_of_missing(partition.partition, offset)
        return {partition: int(offset) for partition, offset in offsets.items()}

    def topic_is_there(self) -> bool:
        """Whether the brokers show the topic. Blocks; raises TopicDenied, and AccessDenied for the group."""
        with self.answered():
            if look_up(self._client(), self._settings, self._brokers, self._topic):
                return True
            absent = absence(self._settings, self._brokers, self._topic)
            if isinstance(absent, TopicDenied):
                raise absent
            # A topic that is not there says nothing of the group.
            self._client().committed(TopicPartition(self._topic, 0), timeout_ms=ANSWER_TIMEOUT_MS)
        return False

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """Raise our errors: also for a topic that was deleted, which its client goes on asking for."""
        try:
            with self._lifetime.translated():
                try:
                    yield
                except kafka_errors.KafkaTimeoutError:
                    if absent := absence(self._settings, self._brokers, self._topic):
                        raise absent from None
                    raise
        except QueueUnreachable:
            self.unanswered = True
            raise
        self.unanswered = False

    def release(self) -> list[KafkaConsumer]:
        """The clients, for the caller to close or, in a forked process, to forget."""
        clients = (self._query_client, self._uncommitted_query_client)
        self._query_client = self._uncommitted_query_client = None
        return [client for client in clients if client is not None]

    def _warn_of_missing(self, partition: int, offset: int) -> None:
        logger.warning(
            "%s partition %d: the group %s has no position, and Kafka no longer has what was before offset "
            "%d. Reading begins there. If the group never read the messages before it, they are lost: raise "
            "the topic's retention, or run a consumer all the time.",
            self._topic, partition, self._group_id, offset,
            extra={"topic": self._topic, "partition": partition, "offset": offset},
        )  # fmt: skip

    def _client(self) -> KafkaConsumer:
        self._lifetime.check_open()
        if self._query_client is None:
            self._query_client = connect_reader(self._settings, self._brokers, self._group_id)
        return self._query_client

    def _ends(self, client: KafkaConsumer) -> Sequence[Position]:
        partitions = self.partitions()
        with self.answered():
            ends = client.end_offsets(partitions, timeout_ms=ANSWER_TIMEOUT_MS)
        return [Position(self._topic, partition.partition, offset) for partition, offset in ends.items()]


def beginning(client: KafkaConsumer, partition: TopicPartition) -> int:
    """The first offset that there is."""
    return int(client.beginning_offsets([partition], timeout_ms=ANSWER_TIMEOUT_MS)[partition])
