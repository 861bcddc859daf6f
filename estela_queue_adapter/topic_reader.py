"""Reading a topic outside every group: on from where reading stopped, or single messages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator

from estela_queue_adapter.lifecycle import Closing
from estela_queue_adapter.messages import Message, Position


class TopicReader(Closing):
    """Reads one topic again and again, and gives each message once. Nothing is committed.

    Not thread-safe. After an error it may be used again: it goes on behind what it has given.
    """

    begun_again = 0
    """How often it began again at a first message, as the topic was recreated or cut short: what was made of
    the messages before is out of date then."""

    @abstractmethod
    def read_on(self) -> Iterator[Message]:
        """What has come since the last time, up to what was the end at the first step.

        In order within a partition, one partition after the other. Blocks; raises TopicMissing,
        QueueUnreachable and AccessDenied.
        """

    def close(self) -> None:
        """Release what is held. Calling it twice is fine."""
        return


class RereadingReader(TopicReader):
    """For platforms that only read from the beginning: what was given before is left out."""

    def __init__(self, read: Callable[[str], Iterator[Message]], topic: str, since: float) -> None:
        self._read = read
        self._topic = topic
        self._since = since
        self._next: dict[int, int] = {}  # offset by partition

    def read_on(self) -> Iterator[Message]:
        ends: dict[int, int] = {}
        for message in self._read(self._topic):
            ends[message.partition] = message.offset + 1
            following = self._next.get(message.partition)
            if message.timestamp >= self._since if following is None else message.offset >= following:
                self._next[message.partition] = message.offset + 1
                yield message
        if any(end < self._next.get(partition, 0) for partition, end in ends.items()):
            self.begun_again += 1
            self._next.clear()
            yield from self.read_on()


class Peek(Closing):
    """Looks at single messages of one topic; connects at the first question. Not thread-safe.

    This one knows nothing: it is that of a platform which cannot look.
    """

    def times(self, positions: Iterable[Position]) -> dict[int, float]:
        """When the first message from each position on was published, by partition.

        Seconds since the epoch; without the partitions that have no such message yet, and without messages
        that have no time. Blocks for some seconds at most; raises QueueUnreachable and AccessDenied.
        """
        return {}

    def close(self) -> None:
        """Release what is held. Calling it twice is fine."""
        return
