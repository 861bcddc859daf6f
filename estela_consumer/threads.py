"""Threads whose work may hang, and waiting for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK = 0.1
"""Seconds between looks at the threads, and between two pictures of the progress."""


class Threads:
    """Work that may wait for a server, each on a thread of its own: so a signal is obeyed whatever hangs."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Begin to work. `failed` is told, on that thread, of an error."""
        thread = threading.Thread(target=self._run, args=(work,), name=f"estela-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (it is told, and becomes the exit code)
            self._failed(error)

    def close(self, deadline: Callable[[], float], tick: Callable[[], None]) -> bool:
        """Block until all have ended, or until the deadline; whether they have. Calls `tick` meanwhile."""
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < deadline():
            for thread in self._threads:
                thread.join(TICK / len(self._threads))
            tick()
        return not any(thread.is_alive() for thread in self._threads)
