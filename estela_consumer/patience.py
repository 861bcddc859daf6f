"""How long to wait for a part that is away, and how to be told to stop waiting."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from estela_consumer.retry import Outage, pause_before

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Tries again, with pauses; shared by all that try."""

    max_wait: float | None = None
    """Seconds after which it is given up, or sooner where the next try would take longer; None: never."""
    abandoned: threading.Event = field(default_factory=threading.Event)
    """Set to end every wait at once."""
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def outage(self, what: str) -> Outage:
        """A new account of `what` being away."""
        return Outage(what, self.clock)

    def insist(self, attempt: Callable[[], T], outage: Outage, *errors: type[Exception]) -> T:
        """What `attempt` returns, called again for as long as it raises one of `errors`. Blocks.

        Raises the last error when patience ends or is abandoned, and any other error at once.
        """
        began, attempts = self.clock(), 0
        while True:
            tried = self.clock()
            try:
                result = attempt()
            except errors as error:
                if self.abandoned.is_set():  # and what it waited for may be closed
                    raise
                outage.failed(error)
                gc.collect()  # failed connections hang in cycles, with their sockets; see `estela-consume`
                attempts += 1
                pause = pause_before(attempts, self.random)
                if self.max_wait is not None:
                    now = self.clock()
                    pause = min(pause, began + self.max_wait - now - (now - tried))
                    if pause <= 0:
                        raise
                if self.abandoned.wait(pause):
                    raise
            else:
                outage.passed()
                return result
