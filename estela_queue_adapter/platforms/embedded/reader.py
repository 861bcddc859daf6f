"""Reading a topic of the embedded queue outside every group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from estela_queue_adapter.errors import QueueUnreachable, TopicMissing
from estela_queue_adapter.messages import Message
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog
from estela_queue_adapter.platforms.log_reader import LogReader
from estela_queue_adapter.topic_names import checked_topic
from estela_queue_adapter.topic_reader import TopicReader


class EmbeddedReader(TopicReader):
    """Keeps the queue's file open from its first reading on. A file that is missing is not created."""

    def __init__(self, path: Path, topic: str, since: float = 0.0) -> None:
        self._path = path
        self._topic = checked_topic(topic)
        self._since = since
        self._log: EmbeddedLog | None = None
        self._reader: LogReader | None = None
        self._generation = 0

    def read_on(self) -> Iterator[Message]:
        if not self._path.exists():
            if why := EmbeddedLog.why_unusable(self._path):
                raise QueueUnreachable(
                    f"the queue's file {self._path} (QUEUE_PLATFORM_PATH) cannot be used: {why}"
                )
            raise TopicMissing(f"there is no topic {self._topic}: {self._path} does not exist")
        if self._log is None:
            self._log = EmbeddedLog(self._path)
        if self._reader is None:
            self._generation = self._log.generation
            self._reader = LogReader(self._log, self._topic, self._since)
        elif self._generation != self._log.generation:
            self._generation = self._log.generation
            self._reader.begin_again()
        for message in self._reader.read_on():
            self.begun_again = self._reader.begun_again
            yield message
        self.begun_again = self._reader.begun_again
        if self._log.generation != self._generation:
            raise QueueUnreachable(f"{self._path} was removed or replaced while it was read")

    def close(self) -> None:
        log, self._log, self._reader = self._log, None, None
        if log is not None:
            log.close()
