"""Being asked to stop, and the time that this leaves."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable


class StopRequest:
    """Whether we were asked to stop, and when what is in hand has to be finished.

    `make` may be called from any thread and from a signal handler. It takes the event's lock, which nobody
    else takes on the thread that handles signals.
    """

    def __init__(self, grace: float, reserve: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.made = threading.Event()
        self._grace = grace
        self._reserve = reserve
        self._clock = clock
        self._deadline = math.inf

    def make(self) -> None:
        """Ask for an end within `grace` seconds, of which `reserve` are kept for what comes afterwards."""
        if not self.made.is_set():
            self._deadline = self._clock() + self._grace - self._reserve  # whoever sees the event has it
            self.made.set()

    @property
    def is_made(self) -> bool:
        """Whether it was."""
        return self.made.is_set()

    @property
    def deadline(self) -> float:
        """When what is in hand has to be finished, on the clock; infinite until the request is made."""
        return self._deadline

    def finish_by(self) -> float:
        """The same, if finishing begins now for another reason: in `grace` seconds then."""
        return self._deadline if self.is_made else self._clock() + self._grace
