"""Whether a consumer is open, for all its parts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from estela_queue_adapter.errors import ConsumerClosed, QueueError
from estela_queue_adapter.lifecycle import interpreter_ended
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.errors import translated


class Lifetime:
    """Whether the consumer of a topic is open."""

    def __init__(self, topic: str, brokers: Brokers) -> None:
        self._topic = topic
        self._brokers = brokers
        self.closed = False

    def check_open(self) -> None:
        """Raise ConsumerClosed if it is closed, or too late to open anything."""
        if self.closed or interpreter_ended():
            raise ConsumerClosed(f"the consumer of {self._topic} is closed")

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Raise our errors for the client's: ConsumerClosed if it was closed meanwhile."""
        try:
            with translated(self._brokers, reading=True):
                yield
        except (QueueError, RuntimeError) as error:
            if self.closed and not isinstance(error, ConsumerClosed):
                raise ConsumerClosed(f"the consumer of {self._topic} was closed meanwhile") from error
            raise
