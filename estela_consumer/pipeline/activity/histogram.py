"""Numbers counted by their size."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HistogramSnapshot:
    """What was counted until one moment."""

    buckets: tuple[tuple[float, int], ...]
    """Each upper bound, the last infinite, and how many numbers were not above it."""
    sum: float


class Histogram:
    """Counts numbers up to each of `bounds`, which ascend. Not thread-safe."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)  # of each bucket alone
        self._sum = 0.0

    def add(self, number: float) -> None:
        """Count one."""
        self._counts[bisect.bisect_left(self._bounds, number)] += 1
        self._sum += number

    def add_ages(self, timestamps: Sequence[float], now: float) -> None:
        """Count the seconds from each of these, which ascend, until now; 0 from one that is later.

        As many steps as there are bounds, however many they are.
        """
        before = 0
        for index, bound in enumerate(self._bounds):
            upto = len(timestamps) - bisect.bisect_left(timestamps, now - bound)
            self._counts[index] += upto - before
            before = upto
        past = timestamps[: bisect.bisect_right(timestamps, now)]
        self._sum += max(0.0, len(past) * now - math.fsum(past))

    def snapshot(self) -> HistogramSnapshot:
        """What is counted so far."""
        buckets, total = [], 0
        for bound, count in zip(self._bounds, self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        return HistogramSnapshot(tuple(buckets), self._sum)
