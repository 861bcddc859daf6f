"""A limit on messages a second."""

from __future__ import annotations


class RateLimiter:
    """A token bucket that holds one second's worth. Pure: the clock's reading is passed in."""

    def __init__(self, per_second: float | None, now: float) -> None:
        self._per_second = per_second
        self._filled_at = now
        self._tokens = per_second or 0.0

    def allowance(self, now: float, wanted: int) -> int:
        """How many of `wanted` messages may be taken now."""
        if self._per_second is None:
            return wanted
        capacity = max(1.0, self._per_second)  # a rate below one still saves up for one message
        self._tokens = min(capacity, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        return min(wanted, int(self._tokens))

    def spend(self, messages: int) -> None:
        """Note that so many were taken."""
        if self._per_second is not None:
            self._tokens -= messages
