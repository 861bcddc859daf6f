"""Waiting out an outage: what the log says of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

_SAY_AGAIN = 60.0  # seconds between two lines about one outage


class Outage:
    """One part's outage: a line when it begins, one a minute, one when it ends. Threads may share it."""

    def __init__(self, what: str, clock: Callable[[], float]) -> None:
        self._what = what
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._said = 0.0

    def failed(self, error: Exception) -> None:
        """Note that a try failed."""
        now = self._clock()
        with self._lock:
            if self._began is None:
                self._began = self._said = now
                logger.warning("%s: %s. Waiting; nothing is lost.", self._what, error)
            elif now - self._said >= _SAY_AGAIN:
                self._said = now
                logger.warning("%s for %.0f s now: %s", self._what, now - self._began, error)

    def passed(self) -> None:
        """Note that a try succeeded."""
        if self._began is None:
            return
        with self._lock:
            if self._began is not None:
                logger.warning("%s no more: over after %.1f s.", self._what, self._clock() - self._began)
                self._began = None
