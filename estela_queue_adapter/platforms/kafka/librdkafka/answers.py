"""What librdkafka says of messages that were sent in bursts, gathered."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from confluent_kafka import KafkaError

from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.platforms.kafka.producer_client import Burst
from estela_terminal.printable import printable_logger

_Answer: TypeAlias = tuple[Burst, Any, "KafkaError | None"]
_burst_of = itemgetter(0)

logger = printable_logger(__name__)


class Answers:
    """Those that librdkafka gave and nobody was told of.

    It calls back for each message, and takes the interpreter's lock each time. So the call only notes what is
    said, and whoever polled tells of all of it afterwards, burst by burst.
    """

    def __init__(self, translated: Callable[[KafkaError, str], QueueError]) -> None:
        self._translated = translated
        self._noted: deque[_Answer] = deque()
        # Held while telling, so that whoever has waited for it knows that all is told. It may be taken again,
        # as signal handlers may flush in the middle of everything.
        self._telling = threading.RLock()

    def note(self, burst: Burst, message: Any, error: KafkaError | None, _: Any) -> None:
        """librdkafka's `on_delivery`, but for the first two."""
        self._noted.append((burst, message, error))

    def tell(self, timeout: float) -> bool:
        """Tell of all that was noted; False if another thread has been telling for `timeout` seconds."""
        if not self._telling.acquire(timeout=timeout):
            return False
        try:
            while self._noted:  # again, for whoever has waited in vain meanwhile
                for burst, answers in groupby(self._take(), _burst_of):
                    self._tell(burst, list(answers))
        finally:
            self._telling.release()
        return True

    def _take(self) -> list[_Answer]:
        taken: list[_Answer] = []
        while self._noted:
            try:
                taken.append(self._noted.popleft())
            except IndexError:  # a signal handler took the last one just now
                break
        return taken

    def _tell(self, burst: Burst, answers: list[_Answer]) -> None:
        try:
            if acknowledged := [message for _, message, error in answers if error is None]:
                burst.decided(acknowledged, None)
            for _, message, error in answers:
                if error is not None:
                    burst.decided((message,), self._translated(error, message.topic))
        except Exception:  # a fault of the callback's: the others are to be told all the same
            logger.exception("What was to be told of deliveries failed.")
