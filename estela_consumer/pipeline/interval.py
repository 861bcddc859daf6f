"""Something that is done now and then."""

from __future__ import annotations

import math


class Interval:
    """Tells when something is due that is done every so many seconds: at once, if it was never done.

    Pure: the clock's reading is passed in.
    """

    def __init__(self, seconds: float, last: float = -math.inf) -> None:
        self._seconds = seconds
        self._last = last

    def is_due(self, now: float) -> bool:
        """Whether so many seconds have passed since `restart`."""
        return now - self._last >= self._seconds

    def restart(self, now: float) -> None:
        """Note that it was done."""
        self._last = now
