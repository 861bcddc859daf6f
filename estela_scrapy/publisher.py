"""The thread between the reactor and the producer."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from estela_queue_adapter import Producer
from estela_queue_adapter.errors import AccessDenied, DeliveryError, QueueError, TransientError

_BURST_INTERVAL = 0.05  # seconds between two bursts, so that an item wakes no thread
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds between tries while the queue is away
_FLUSH_STEP = 0.5  # seconds

logger = logging.getLogger(__name__)


class _Letter(NamedTuple):
    stream: str
    topic: str
    data: bytes


class Publisher:
    """Takes messages from the reactor's thread, without ever waiting, and hands them to the queue in bursts.

    A message is kept until the queue has acknowledged it, and sent again when the queue fails; only one that
    the queue refuses for good is given up. `close` ends it.
    """

    def __init__(self, open_producer: Callable[[], Producer], buffer_bytes: int) -> None:
        self._open_producer = open_producer
        self._buffer_bytes = buffer_bytes
        self._letters: deque[_Letter] = deque()
        self._something = threading.Event()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._lock = threading.Lock()  # guards the four below, which the client's thread changes too
        self._bytes = 0
        self._count = 0
        self.published: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self._away_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="estela-publisher", daemon=True)
        self._thread.start()

    def put(self, stream: str, topic: str, data: bytes) -> None:
        """Take a message. Never blocks and never refuses; see `full`."""
        with self._lock:
            self._bytes += len(data)
            self._count += 1
        self._letters.append(_Letter(stream, topic, data))
        if not self._something.is_set():
            self._something.set()

    @property
    def full(self) -> bool:
        """Whether more bytes wait for an acknowledgement than the buffer may hold."""
        return self._bytes >= self._buffer_bytes

    @property
    def waiting(self) -> int:
        """How many messages wait for an acknowledgement."""
        return self._count

    def close(self, timeout: float) -> int:
        """Block until all is acknowledged, `timeout` seconds at most; returns how many messages are not."""
        self._closing.set()
        self._something.set()
        self._thread.join(timeout)
        self._abandoned.set()
        return self.waiting

    def _run(self) -> None:
        producer = self._open_producer()
        while not self._abandoned.is_set():
            self._something.wait()
            self._something.clear()
            while self._letters and not self._abandoned.is_set():
                self._send(producer, self._letters.popleft())
            if self._closing.is_set():
                if not self.waiting:
                    break
                self._flush(producer)
                self._something.set()
            else:
                self._closing.wait(_BURST_INTERVAL)
        self._let_go(producer)

    def _send(self, producer: Producer, letter: _Letter) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                producer.send(letter.topic, letter.data, on_delivery=partial(self._delivered, letter))
            except (TransientError, AccessDenied) as error:
                self._say_away(error)
                if self._abandoned.wait(pause * random.uniform(0.5, 1.0)):
                    return
                pause = min(_LONGEST_PAUSE, pause * 2)
            except QueueError as error:
                self._delivered(letter, error)
                return
            else:
                return

    def _delivered(self, letter: _Letter, error: QueueError | None) -> None:
        """Called once for each message that was sent, from any thread."""
        if isinstance(error, (TransientError, DeliveryError)):
            self._say_away(error)
            self._letters.append(letter)  # it keeps its id, so that a copy that did arrive does no harm
            self._something.set()
            return
        with self._lock:
            self._bytes -= len(letter.data)
            self._count -= 1
            if error is None:
                self.published[letter.stream] += 1
                self.bytes[letter.stream] += len(letter.data)
            else:
                self.failed[letter.stream] += 1
                told = self.failed[letter.stream]
        if error is None:
            self._say_back()
        elif told & (told - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
            logger.error("The queue refuses a message for %s (%d so far): %s", letter.topic, told, error)

    def _flush(self, producer: Producer) -> None:
        try:
            producer.flush(_FLUSH_STEP)
        except DeliveryError as error:
            logger.debug("still waiting: %s", error)

    def _let_go(self, producer: Producer) -> None:
        try:
            producer.close(0.0 if self._abandoned.is_set() else _FLUSH_STEP)
        except QueueError as error:
            logger.debug("closing the producer: %s", error)

    def _say_away(self, error: QueueError) -> None:
        with self._lock:
            first, self._away_since = self._away_since is None, self._away_since or time.monotonic()
        if first:
            logger.warning("The queue is away: %s. The crawl goes on; what it brings waits.", error)

    def _say_back(self) -> None:
        if self._away_since is not None:
            with self._lock:
                since, self._away_since = self._away_since, None
            if since is not None:
                logger.warning("The queue is back after %.1f s.", time.monotonic() - since)
