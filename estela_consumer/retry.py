"""Trying again while a server is unavailable: for how long, and what the log says meanwhile."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from estela_queue_adapter.backoff import pause_before
from estela_queue_adapter.collector import collect_failed_connections

T = TypeVar("T")

_REMINDER_INTERVAL = 60.0  # seconds between two lines about one outage

logger = logging.getLogger(__name__)


class Outage:
    """Tells the log of one server's outages: when one begins, once a minute, and when it ends.

    Threads may share it: its lock is held for each change of what it remembers, and for the line about it.
    """

    def __init__(self, server: str, clock: Callable[[], float], used_for: str = "") -> None:
        self._server = server
        self._used_for = f" ({used_for})" if used_for else ""
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._logged_at = 0.0

    def failed(self, error: Exception) -> None:
        """Note that an attempt failed."""
        now = self._clock()
        with self._lock:
            if self._began is None:
                self._began = self._logged_at = now
                logger.warning(
                    "%s unavailable%s: %s. Waiting; nothing is lost.", self._server, self._used_for, error
                )
            elif now - self._logged_at >= _REMINDER_INTERVAL:
                self._logged_at = now
                logger.warning(
                    "%s still unavailable after %.0f s%s: %s",
                    self._server, now - self._began, self._used_for, error,
                )  # fmt: skip

    def succeeded(self) -> None:
        """Note that an attempt succeeded."""
        if self._began is None:  # nearly always, and without the lock; it is looked at again inside
            return
        with self._lock:
            if self._began is not None:
                seconds = self._clock() - self._began
                self._began = None
                logger.warning("%s available again after %.1f s%s.", self._server, seconds, self._used_for)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to try again; the pauses in between are the adapter's back-off. Threads may share it."""

    max_wait: float | None = None
    """Seconds after which it is given up, or sooner if the next attempt would take longer; None: never."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set to end every wait at once."""
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def cancelled_by(self, event: threading.Event) -> RetryPolicy:
        """The same, ended by another event."""
        return replace(self, cancelled=event)

    def outage(self, server: str, used_for: str = "") -> Outage:
        """What `call` tells of failures: of which server, and what it is used for if that needs saying."""
        return Outage(server, self.clock, used_for)

    def call(self, attempt: Callable[[], T], outage: Outage, *errors: type[Exception]) -> T:
        """What `attempt` returns, called again for as long as it raises one of `errors`. Blocks.

        Raises the last error when `max_wait` is over or `cancelled` is set, and any other error at once.
        """
        began, attempts = self.clock(), 0
        while True:
            attempted_at = self.clock()
            try:
                result = attempt()
            except errors as error:
                if self.cancelled.is_set():  # and what it waited for may be closed
                    raise
                outage.failed(error)
                collect_failed_connections(everywhere=True)
                attempts += 1
                pause = pause_before(attempts, self.random)
                if self.max_wait is not None:
                    now = self.clock()
                    pause = min(pause, began + self.max_wait - now - (now - attempted_at))
                    if pause <= 0:
                        raise
                if self.cancelled.wait(pause):
                    raise
            else:
                outage.succeeded()
                return result
