"""Looking at single messages of a topic, outside every group."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from estela_queue_adapter.messages import Position
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog
from estela_queue_adapter.topic_reader import Peek


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
