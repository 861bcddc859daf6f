"""How long to wait for a part that is away, and how to be told to stop waiting."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from estela_consumer.retry import Outage, pause_before


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits between tries; shared by all that try."""

    max_wait: float | None = None
    """Seconds after which an outage is given up; None waits for ever."""
    abandoned: threading.Event = field(default_factory=threading.Event)
    """Set to end every wait at once."""
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def outage(self, what: str) -> Outage:
        """A new account of `what` being away."""
        return Outage(what, self.clock)

    def after(self, error: Exception, outage: Outage) -> None:
        """Wait before the next try; raises `error` again when there is to be none."""
        lasted = outage.failed(error)
        if self.max_wait is not None and lasted >= self.max_wait:
            raise error
        pause = pause_before(outage.attempts, self.random)
        if self.max_wait is not None:
            pause = min(pause, self.max_wait - lasted)
        if self.abandoned.wait(pause):
            raise error
