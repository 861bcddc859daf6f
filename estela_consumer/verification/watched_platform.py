"""A queue whose topics are read from end to end before somebody's eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from estela_queue_adapter import Consumer, Message, PartitionListener, Platform, Producer, Subscription
from estela_queue_adapter.topic_reader import TopicReader


class WatchedPlatform(Platform):
    """For a command that only reads: what is read of its topics passes through `watch`."""

    settings_class = type(None)

    def __init__(self, platform: Platform, watch: Callable[[Iterator[Message]], Iterator[Message]]) -> None:
        self._platform = platform
        self._watch = watch

    def producer(self) -> Producer:
        return self._platform.producer()

    def consumer(self, subscription: Subscription, listener: PartitionListener | None = None) -> Consumer:
        return self._platform.consumer(subscription, listener)

    def read(self, topic: str) -> Iterator[Message]:
        return self._watch(self._platform.read(topic))

    def reader(self, topic: str, since: float = 0.0) -> TopicReader:
        return _WatchedReader(self._platform.reader(topic, since), self._watch)

    def describe(self) -> str:
        return self._platform.describe()


class _WatchedReader(TopicReader):
    def __init__(self, reader: TopicReader, watch: Callable[[Iterator[Message]], Iterator[Message]]) -> None:
        self._reader = reader
        self._watch = watch

    def read_on(self) -> Iterator[Message]:
        yield from self._watch(self._reader.read_on())
        self.begun_again = self._reader.begun_again

    def close(self) -> None:
        self._reader.close()
