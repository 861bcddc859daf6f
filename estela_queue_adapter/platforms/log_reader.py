"""Reading on in a log of one partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from estela_queue_adapter.messages import Message
from estela_queue_adapter.topic_reader import TopicReader

_READ_AT_ONCE = 500  # messages


class ReadableLog(Protocol):
    """The messages of each topic in their order."""

    def read(self, topic: str, offset: int, limit: int, /) -> Sequence[Message]:
        """Some of the messages from `offset` on; none if there are none."""

    def end(self, topic: str) -> int:
        """The offset of the next message. Raises TopicMissing."""


class LogReader(TopicReader):
    """Reads on in one topic of a log. The log remains its owner's."""

    def __init__(self, log: ReadableLog, topic: str, since: float) -> None:
        self._log = log
        self._topic = topic
        self._since = since
        self._offset: int | None = None

    def read_on(self) -> Iterator[Message]:
        end = self._log.end(self._topic)
        if self._offset is None:
            self._offset = self._first(end)
        elif self._offset > end:
            self.begin_again()
        while self._offset < end:
            messages = self._log.read(self._topic, self._offset, _READ_AT_ONCE)
            if not messages:
                return
            for message in messages:
                if message.offset >= end:
                    return
                self._offset = message.offset + 1
                yield message

    def begin_again(self) -> None:
        """Read from the first message: the topic is another one."""
        self._offset = 0
        self.begun_again += 1

    def _first(self, end: int) -> int:
        """The offset of the first message that is not older than `since`, by bisection.

        The log's times ascend, unless its machine's clock was put back.
        """
        first, last = 0, end if self._since > 0 else 0
        while first < last:
            middle = (first + last) // 2
            found = self._log.read(self._topic, middle, 1)
            if not found or found[0].timestamp >= self._since:
                last = middle
            else:
                first = found[0].offset + 1
        return first
