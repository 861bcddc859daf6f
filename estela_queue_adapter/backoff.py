"""How long to wait before something is tried again: the one rule for all that tries again."""

from __future__ import annotations

from collections.abc import Callable

FIRST_PAUSE = 0.1  # seconds
LONGEST_PAUSE = 10.0  # seconds


def pause_before(attempt: int, random: Callable[[], float]) -> float:
    """Seconds to wait before the `attempt`-th new try (from 1): doubling, with jitter, up to a ceiling.

    `random` gives a number from 0 to 1; the pause is between half and the whole of its step.
    """
    step = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 30))
    return step * (0.5 + random() / 2)
