"""Whether the queue takes messages, which of its topics do not, and whether the outbox can be used."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from estela_queue_adapter.backoff import pause_before
from estela_queue_adapter.errors import QueueError, QueueUnreachable
from estela_scrapy.delivery.outbox import OutboxError
from estela_terminal.printable import printable_logger

_SILENCE = 5.0  # seconds without an acknowledgement after which the queue counts as unavailable
_ASK_AGAIN = 60.0  # seconds until a topic that was missing or denied is tried again

logger = printable_logger(__name__)


class QueueHealth:
    """Since when the queue is unavailable, if it is. Safe to share among threads.

    The log has one line when it becomes unavailable and one when it is available again. They are written
    with the lock held, so that they stand in the order in which things happened: a log that blocks blocks
    whoever asks here, which the reactor does not.

    The producer's threads and the publisher's sender report; the spiller asks.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._unavailable_since: float | None = None
        self._last_answer = clock()
        self._unacknowledged: QueueError | None = None
        self._failed_rounds = 0
        self._closed = False

    @property
    def unavailable(self) -> bool:
        """Whether the queue takes no messages now."""
        with self._lock:
            return self._unavailable_since is not None

    def acknowledged(self) -> None:
        """Note that the queue has taken a message."""
        with self._lock:
            since, self._unavailable_since = self._unavailable_since, None
            self._last_answer, self._failed_rounds = self._clock(), 0
            self._unacknowledged = None
            if since is not None:
                logger.warning("Queue available again after %.1f s.", self._last_answer - since)

    def failed(self, error: QueueError) -> None:
        """Note that the queue did not take a message."""
        with self._lock:
            self._become_unavailable(error)

    def not_acknowledged(self, error: QueueError) -> None:
        """Note what the producer says of messages that are in flight."""
        with self._lock:
            self._unacknowledged = error

    def check_silence(self, in_flight: int) -> None:
        """Notice a queue that was given messages, acknowledges none and reports no error."""
        with self._lock:
            now = self._clock()
            if not in_flight:
                self._last_answer = now
            elif now - self._last_answer > _SILENCE:
                why = f" ({self._unacknowledged})" if self._unacknowledged else ""
                silence = f"it has acknowledged nothing for {_SILENCE:.0f} s{why}"
                self._become_unavailable(QueueUnreachable(silence))

    def pause_after_failed_round(self) -> float:
        """Note that a round of messages came back; seconds to wait before the next."""
        with self._lock:
            self._failed_rounds += 1
            return pause_before(self._failed_rounds, random.random)

    def close(self) -> None:
        """Notice no outage from here on: what has not arrived by now is reported as undelivered."""
        with self._lock:
            self._closed = True

    def _become_unavailable(self, error: QueueError) -> None:
        """With the lock held."""
        if self._unavailable_since is None and not self._closed:
            self._unavailable_since = self._clock()
            logger.warning("Queue unavailable: %s. The crawl goes on; its messages wait.", error)


class ClosedTopics:
    """Topics that are missing or denied, each until it is time to ask again. Safe to share among threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._errors: dict[str, tuple[QueueError, float]] = {}

    def close(self, topic: str, error: QueueError) -> None:
        """Have nothing sent to `topic` for a minute."""
        with self._lock:
            self._errors[topic] = error, self._clock() + _ASK_AGAIN

    def errors(self) -> dict[str, QueueError]:
        """Why nothing can be sent to these topics; without those that it is time to try again."""
        if not self._errors:
            return {}
        with self._lock:
            now = self._clock()
            return {topic: error for topic, (error, until) in self._errors.items() if now <= until}


class OutboxHealth:
    """Whether the outbox can be used. Safe to share among threads.

    The log has one line when it no longer can, until it works for everybody again: one thread may have no
    use for the file while another one fails with each try.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards what follows
        self._failing: set[str] = set()

    def failed(self, user: str, error: OutboxError) -> None:
        """Note that `user` could not use it."""
        with self._lock:
            first = not self._failing
            self._failing.add(user)
        if first:
            logger.error(
                "%s. Messages that the queue does not take wait in memory; once that is full, the crawl "
                "waits.",
                error,
            )

    def worked(self, user: str) -> None:
        """Note that `user` met no error."""
        with self._lock:
            self._failing.discard(user)
