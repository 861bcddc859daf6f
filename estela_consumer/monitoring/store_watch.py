"""Whether the store still answers, asked also while there is nothing to write."""

from __future__ import annotations

import threading

from estela_consumer.errors import StoreUnreachable
from estela_consumer.retry import STORE, Outage, OutageSnapshot, RetryPolicy
from estela_consumer.stores import Store

_INTERVAL = 3.0  # seconds between two questions


class StoreWatch:
    """Asks the store for a sign of life every three seconds, from `start` to `stop`.

    On a thread of its own, as an answer may take long. What it finds is for those who look from outside: the
    log tells of outages when something is to be written. `snapshot` may be called from any thread.
    """

    def __init__(self, store: Store, retry: RetryPolicy) -> None:
        self._store = store
        self._outage = Outage(STORE, retry.clock, quiet=True)
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to ask. Call it once, when the store has answered."""
        threading.Thread(target=self._watch, name="estela-store-watch", daemon=True).start()

    def stop(self) -> None:
        """Ask no more, as the store is about to be closed. An answer that is on its way is ignored."""
        self._stopped.set()

    def snapshot(self) -> OutageSnapshot:
        """What is known now."""
        return self._outage.snapshot()

    def _watch(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            try:
                self._store.check()
            except StoreUnreachable as error:
                if not self._stopped.is_set():
                    self._outage.failed(error)
            except Exception:
                if not self._stopped.is_set():
                    raise
            else:
                self._outage.succeeded()
