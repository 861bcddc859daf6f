"""A limit on messages a second."""

from __future__ import annotations


class Pace:
    """A token bucket that holds one second's worth. Pure: the clock's reading is passed in."""

    def __init__(self, per_second: float | None, now: float) -> None:
        self._rate = per_second
        self._filled_at = now
        self._tokens = per_second or 0.0

    def allowance(self, now: float, wanted: int) -> int:
        """How many of `wanted` messages may be taken now."""
        if self._rate is None:
            return wanted
        full = max(1.0, self._rate)  # a rate below one still lets one message through, once it has saved up
        self._tokens = min(full, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return min(wanted, int(self._tokens))

    def took(self, messages: int) -> None:
        """Note that so many were taken."""
        if self._rate is not None:
            self._tokens -= messages
