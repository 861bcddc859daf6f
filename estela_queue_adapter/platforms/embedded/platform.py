"""The embedded platform: a queue without a server, in one file that several processes share."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from estela_queue_adapter.access import TopicAccess
from estela_queue_adapter.errors import ConfigurationError, QueueUnreachable
from estela_queue_adapter.files.location import located
from estela_queue_adapter.interfaces import (
    Consumer,
    PartitionListener,
    Peek,
    Platform,
    Producer,
    Transactions,
)
from estela_queue_adapter.messages import Message, Outgoing, Position
from estela_queue_adapter.platforms.embedded.consumer import EmbeddedConsumer
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog
from estela_queue_adapter.platforms.embedded.producer import EmbeddedProducer
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_names import checked_topic

_READ_AT_ONCE = 500  # messages


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
            checked_topic(message.topic)
        self._log.append(messages, epoch=(self._name, self._epoch))

    def close(self) -> None:
        self._log.close()


class EmbeddedPeek(Peek):
    """One read of the file for each question."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log: EmbeddedLog | None = None

    def times(self, positions: Iterable[Position]) -> dict[int, float]:
        if self._log is None:
            self._log = EmbeddedLog(self._path)
        log = self._log
        first = (log.read(topic, offset, 1) for topic, _, offset in positions)
        return {message.partition: message.timestamp for messages in first for message in messages}

    def close(self) -> None:
        log, self._log = self._log, None
        if log is not None:
            log.close()


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
        checked_topic(topic)
        with contextlib.closing(EmbeddedLog(self._path)) as log:
            offset, end = 0, log.end(topic)
            while offset < end:
                messages = log.read(topic, offset, _READ_AT_ONCE)
                if not messages:
                    raise QueueUnreachable(f"{self._path} was removed or replaced while it was read")
                yield from (message for message in messages if message.offset < end)
                offset = messages[-1].offset + 1

    def peek(self, topic: str) -> Peek:
        checked_topic(topic)
        return EmbeddedPeek(self._path)

    def transactions(self, name: str) -> Transactions:
        return EmbeddedTransactions(self._path, name)

    def describe(self) -> str:
        return f"the file {self._path}"
