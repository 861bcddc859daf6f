"""The embedded platform: a queue without a server, in one file that several processes share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from estela_queue_adapter.access import TopicAccess
from estela_queue_adapter.administration import Administration
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.location import located
from estela_queue_adapter.interfaces import Consumer, PartitionListener, Platform, Producer, Transactions
from estela_queue_adapter.members import GroupMember
from estela_queue_adapter.messages import Message, Outgoing
from estela_queue_adapter.platforms.embedded.administration import EmbeddedAdministration
from estela_queue_adapter.platforms.embedded.consumer import EmbeddedConsumer
from estela_queue_adapter.platforms.embedded.log import PARTITION, EmbeddedLog
from estela_queue_adapter.platforms.embedded.peek import EmbeddedPeek
from estela_queue_adapter.platforms.embedded.producer import EmbeddedProducer
from estela_queue_adapter.platforms.embedded.reader import EmbeddedReader
from estela_queue_adapter.platforms.embedded.turn import ReaderTurn
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_names import checked_topic
from estela_queue_adapter.topic_reader import Peek, TopicReader


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """Where the log is."""

    path: str = field(default=".estela/queue.db")


class EmbeddedTransactions(Transactions):
    """SQLite's own; whoever opens the same name later takes it over, as on Kafka."""

    def __init__(self, path: Path, name: str) -> None:
        self._log = EmbeddedLog(path)
        self._name = name
        self._epoch = self._log.open_epoch(name)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            message.check()
        self._log.append(messages, epoch=(self._name, self._epoch))

    def close(self) -> None:
        self._log.close()


class EmbeddedPlatform(Platform):
    """A queue without a server, for one machine: development, small crawls, tests."""

    settings_class = EmbeddedSettings

    def __init__(self, settings: EmbeddedSettings) -> None:
        self._path = located(settings.path)
        if self._path.is_dir():
            raise ConfigurationError(
                f"QUEUE_PLATFORM_PATH={self._path} is a directory; it names the queue's file"
            )

    def check(self) -> None:
        if why := EmbeddedLog.why_unusable(self._path):
            raise ConfigurationError(f"QUEUE_PLATFORM_PATH={self._path} cannot be the queue's file: {why}")

    def examine(self, topics: Collection[str]) -> list[TopicAccess]:
        if self._path.exists():
            return super().examine(topics)
        return [TopicAccess(checked_topic(topic), 0) for topic in topics]

    def producer(self) -> Producer:
        return EmbeddedProducer(self._path)

    def consumer(self, subscription: Subscription, listener: PartitionListener | None = None) -> Consumer:
        return EmbeddedConsumer(self._path, subscription, listener or PartitionListener())

    def read(self, topic: str) -> Iterator[Message]:
        with EmbeddedReader(self._path, topic) as reader:
            yield from reader.read_on()

    def reader(self, topic: str, since: float = 0.0) -> TopicReader:
        return EmbeddedReader(self._path, topic, since)

    def members(self, subscription: Subscription) -> list[GroupMember] | None:
        turn = ReaderTurn(self._path, subscription.group_id, checked_topic(subscription.topic))
        return [GroupMember("", "", (PARTITION,))] if turn.is_taken() else []

    def peek(self, topic: str) -> Peek:
        checked_topic(topic)
        return EmbeddedPeek(self._path)

    def transactions(self, name: str) -> Transactions:
        return EmbeddedTransactions(self._path, name)

    def administration(self) -> Administration:
        return EmbeddedAdministration(self._path)

    def describe(self) -> str:
        return f"the file {self._path}"
