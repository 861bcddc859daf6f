"""What became of the messages that were put."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from estela_scrapy.delivery.outbox import PendingMessage


class DeliveryCounts:
    """Counters by stream, of this crawl's messages unless it says otherwise. Safe to share among threads.

    Whoever reads them meanwhile sees what was true a moment ago.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for each change of what follows
        self.published: Counter[str] = Counter()
        """Messages that the queue has acknowledged."""
        self.bytes: Counter[str] = Counter()
        """Their bytes."""
        self.rejected: Counter[str] = Counter()
        """Messages, of earlier crawls too, that the queue has refused for good."""
        self.answered = 0
        """Messages that the queue has taken or refused, whichever crawl's they are."""
        self.spilled = 0
        """Messages that were moved from memory to the outbox."""

    def acknowledge(self, messages: Sequence[PendingMessage], session: str) -> None:
        """Count messages that the queue has taken; `session` is this crawl's."""
        own = [message for message in messages if message.session == session]
        with self._lock:
            self.answered += len(messages)
            for message in own:
                self.published[message.stream] += 1
                self.bytes[message.stream] += len(message.data)

    def reject(self, stream: str) -> int:
        """Count a message that the queue has refused; how many of its stream there are by now."""
        with self._lock:
            self.answered += 1
            self.rejected[stream] += 1
            return self.rejected[stream]

    def total_rejected(self) -> int:
        """How many messages the queue has refused, of all streams."""
        with self._lock:
            return self.rejected.total()

    def spill(self, messages: int) -> None:
        """Count messages that were moved to the outbox."""
        with self._lock:
            self.spilled += messages
