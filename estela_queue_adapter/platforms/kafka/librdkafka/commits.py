"""Commits that end in time: librdkafka's own waits as long as the group's coordinator is away."""

from __future__ import annotations

import queue
import threading
from typing import Any

from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.librdkafka.handle import Handle
from estela_queue_adapter.platforms.kafka.librdkafka.health import Health

_ANSWER_TIMEOUT = 10.0  # seconds, before the queue counts as unreachable
_LAST_ANSWER_TIMEOUT = 2.0  # seconds, while the interpreter ends


class Commits:
    """The commits of one consumer. Callers take turns."""

    def __init__(self, brokers: Brokers, health: Health) -> None:
        self._brokers = brokers
        self._health = health

    def commit(self, handle: Handle, offsets: list[Any]) -> list[Any]:
        """What the brokers answer for each. Raises confluent-kafka's errors, and QueueUnreachable.

        On a thread of its own, which is left behind if there is no answer: it ends when the broker is back,
        or the client is closed.
        """
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def run() -> None:
            try:
                with handle.use() as client:
                    answers.put(client.commit(offsets=offsets, asynchronous=False))
            except Exception as error:  # noqa: BLE001  (raised again by who waits)
                answers.put(error)

        try:
            threading.Thread(target=run, name="estela-commit", daemon=True).start()
        except RuntimeError:  # no new threads any more, as the interpreter shuts down
            with handle.use() as client:
                client.commit(offsets=offsets, asynchronous=True)
                client.poll(_LAST_ANSWER_TIMEOUT)
            return []
        try:
            answer = answers.get(timeout=_ANSWER_TIMEOUT)
        except queue.Empty:
            raise self._health.outage() or QueueUnreachable(
                f"Kafka at {self._brokers}: it does not answer in time to a commit"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return list(answer)
