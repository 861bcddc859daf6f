"""The brokers of one cluster as we see them: which of them cannot be reached, and why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

from estela_queue_adapter.errors import AccessDenied, QueueError, QueueUnreachable
from estela_queue_adapter.platforms.kafka.connections.failures import Failure
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_MAX_SHOWN = 3  # addresses that an error names at most
_STALE_AFTER = 90.0  # seconds: an address that is still needed is tried again long before


class Brokers:
    """What the connections of one producer or consumer have met. Threads may share it.

    As a string it is the addresses that the settings name.
    """

    def __init__(self, settings: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._listeners = settings.bootstrap_servers
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._failures: dict[str, tuple[Failure, float]] = {}

    def __str__(self) -> str:
        return ",".join(self._listeners)

    def failed(self, address: str, failure: Failure) -> None:
        """Note why an address gave no connection."""
        with self._lock:
            self._failures[address] = failure, self._clock()

    def answered(self, address: str) -> None:
        """Note that an address is fine."""
        with self._lock:
            self._failures.pop(address, None)

    def outage(self, needed: Collection[str] | None = None) -> QueueError | None:
        """What to raise as long as one of the `needed` addresses fails, or any; None if none does."""
        with self._lock:
            since = self._clock() - _STALE_AFTER
            self._failures = {at: known for at, known in self._failures.items() if known[1] > since}
            failures = {
                at: failure for at, (failure, _) in self._failures.items() if needed is None or at in needed
            }
        if not failures:
            return None
        reasons = [self._reason(address, failure) for address, failure in list(failures.items())[:_MAX_SHOWN]]
        more = f". And {len(failures) - _MAX_SHOWN} more" if len(failures) > _MAX_SHOWN else ""
        text = f"Kafka at {self}: {'. '.join(reasons)}{more}"
        denied = any(failure.denied for failure in failures.values())
        return AccessDenied(text) if denied else QueueUnreachable(text)

    def _reason(self, address: str, failure: Failure) -> str:
        if address in self._listeners:
            return f"{address}: {failure.reason}" if len(self._listeners) > 1 else failure.reason
        return (
            f"it says that a broker is at {address} (advertised.listeners), and from here: {failure.reason}"
        )


def address(host: str, port: int) -> str:
    """Host and port as the settings have them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
