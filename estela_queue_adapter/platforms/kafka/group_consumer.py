"""What a member of a consumer group has, whichever client carries its messages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence

from kafka import TopicPartition

from estela_queue_adapter.interfaces import Consumer, PartitionListener
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.sessions import SessionTimeout
from estela_queue_adapter.platforms.kafka.lifetime import Lifetime
from estela_queue_adapter.platforms.kafka.queries import TopicQueries
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_names import checked_topic
from estela_terminal.printable import printable_logger

logger = printable_logger(__name__)


class GroupConsumer(Consumer):
    """What the consumers of both clients share. kafka-python asks about topic and group with either."""

    def __init__(
        self, settings: KafkaSettings, subscription: Subscription, listener: PartitionListener
    ) -> None:
        self._settings = settings
        self._subscription = subscription
        self._listener = listener
        self._topic = checked_topic(subscription.topic)
        self._brokers = Brokers(settings)
        self._lifetime = Lifetime(self._topic, self._brokers)
        self._queries = TopicQueries(settings, subscription, self._brokers, self._lifetime)
        self._session = SessionTimeout(settings.session_timeout)

    @property
    def subscription(self) -> Subscription:
        return self._subscription

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        return self.iteration.take(self.fetch, max_messages) or self.fetch(timeout, max_messages)

    def positions(self) -> Sequence[Position]:
        positions = []
        for partition in self._queries.partitions():
            with self._queries.answered():
                offset = self._position(partition)
            positions.append(Position(self._topic, partition.partition, offset))
        return positions

    def end_positions(self) -> Sequence[Position]:
        return self._queries.ends()

    def log_end_positions(self) -> Sequence[Position]:
        return self._queries.log_ends()

    @abstractmethod
    def _position(self, partition: TopicPartition) -> int:
        """The next message that this reader will get, else what the group has committed."""

    def _gone(self, partition: int, position: int, resumed: int) -> None:
        """Tell that the queue has no message at `position`; reading goes on at `resumed`."""
        if resumed < position:  # offsets start again at 0
            self.iteration.lost([partition])
        self._listener.messages_gone(partition, position, resumed)

    def _has_another_session(self) -> bool:
        """Whether there is one left that these brokers may take; it is set then."""
        refused = self._session.seconds
        if not self._session.try_another():
            return False
        logger.warning(
            "Kafka at %s refuses a session timeout of %g s for the group %s; trying %g s. "
            "Set QUEUE_PLATFORM_SESSION_TIMEOUT to one that the brokers allow.",
            self._brokers,
            refused,
            self._subscription.group_id,
            self._session.seconds,
        )
        return True


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
