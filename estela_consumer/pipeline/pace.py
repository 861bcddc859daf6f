"""How fast it goes now, and how long it will take."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_RATE_SECONDS = 10.0  # that the rate is the mean of
_REMAINING_SECONDS = 30.0  # likewise of how fast what remains gets less: it is asked for every two seconds


class _Sample(NamedTuple):
    at: float
    value: int


class Pace:
    """Is told the counts some times a second. Pure: the clock's reading is passed in."""

    def __init__(self) -> None:
        self._read: deque[_Sample] = deque()
        self._remaining: deque[_Sample] = deque()

    def add(self, now: float, read: int, remaining: int | None) -> None:
        """Note how much was read so far, and how much remains, if that is known."""
        _add(self._read, _Sample(now, read), _RATE_SECONDS)
        if remaining is None:
            self._remaining.clear()
        else:
            _add(self._remaining, _Sample(now, remaining), _REMAINING_SECONDS)

    @property
    def rate(self) -> float:
        """Messages read a second, in the last ten seconds."""
        return _slope(self._read)

    @property
    def remaining(self) -> int | None:
        """As told last."""
        return self._remaining[-1].value if self._remaining else None

    @property
    def seconds_left(self) -> float | None:
        """Until nothing remains, if it goes on like this; None if it does not get less."""
        speed = -_slope(self._remaining)
        return self._remaining[-1].value / speed if speed > 0 else None


def _add(samples: deque[_Sample], sample: _Sample, seconds: float) -> None:
    samples.append(sample)
    while len(samples) > 2 and samples[1].at <= sample.at - seconds:
        samples.popleft()


def _slope(samples: deque[_Sample]) -> float:
    """Per second, from the first to the last."""
    if len(samples) < 2 or samples[-1].at <= samples[0].at:
        return 0.0
    return (samples[-1].value - samples[0].value) / (samples[-1].at - samples[0].at)


def shown_seconds(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 10 min`, for a time that is a guess."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours < 48 else f"{hours // 24:,} days"
