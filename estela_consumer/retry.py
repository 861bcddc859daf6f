"""Waiting out an outage: how long a pause is, and what the log says of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.1  # seconds
_LONGEST_PAUSE = 10.0  # seconds
_SAY_AGAIN = 60.0  # seconds between two lines about one outage


def pause_before(attempt: int, random: Callable[[], float]) -> float:
    """Seconds to wait before the `attempt`-th new try (from 1): doubling, with jitter, up to a ceiling.

    `random` gives a number from 0 to 1; the pause is between half and the whole of its step.
    """
    step = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt - 1, 30))
    return step * (0.5 + random() / 2)


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
