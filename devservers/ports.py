"""Free ports and a way to wait."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable

_PORTS = range(10_000, 32_768)  # what is above, systems give to whoever asks for any port, or connects
START_TIMEOUT = 180.0  # seconds; a server that ends is seen at once, so this is for a machine that is busy
_chance = random.SystemRandom()  # property tests seed the other


def free_port() -> int:
    """A port of this machine that nobody listens on, and that only those who ask for it will get."""
    while True:
        port = _chance.choice(_PORTS)
        with contextlib.closing(socket.socket()) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(ready: Callable[[], bool], what: str, timeout: float = 120.0) -> None:
    """Return when `ready` says so; raise TimeoutError, naming `what`, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(0.05)
