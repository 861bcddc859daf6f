"""Python's cycle collector: a process has one, so whoever sets it does so here.

It stops every thread, the reactor's too. What Scrapy, the clients and their libraries are made of is most of
what it looks through, 50 ms at a time, and messages on their way make it look more often.
"""

from __future__ import annotations

import gc
import threading

_OBJECTS_BETWEEN_LOOKS = 50_000  # messages make no cycles, and to look for them costs a sixth of a drain
_FROZEN_BY_PYTHON = (
    1_000  # Python 3.12 freezes some hundreds as it starts; whoever else does freezes thousands
)


class Collector:
    """Has the collector look past what is loaded by now, from the first `spare` to the last `release`.

    What somebody else has frozen stays as it is: `gc.unfreeze` knows no owners, so nothing is frozen or
    thawed then. Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the counts
        self._users = 0
        self._frozen = 0  # objects, by us; 0 if the host had frozen its own

    def prepare(self) -> None:
        """Collect what is garbage by now, which takes some tens of milliseconds, if `spare` is to freeze."""
        with self._lock:
            is_first = self._users == 0
        if is_first and not _host_has_frozen():
            gc.collect()

    def spare(self) -> None:
        """One more user: a crawl, or a consumer."""
        with self._lock:
            self._users += 1
            if self._users == 1 and not _host_has_frozen():
                gc.freeze()
                self._frozen = gc.get_freeze_count()

    def release(self) -> None:
        """One user less."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                if gc.get_freeze_count() <= self._frozen:  # more than ours: the host froze some meanwhile
                    gc.unfreeze()
                self._frozen = 0


def _host_has_frozen() -> bool:
    return gc.get_freeze_count() >= _FROZEN_BY_PYTHON


COLLECTOR = Collector()


def settle_into_consuming() -> None:
    """Have cycles looked for rarely, to the end of the process: for one that does nothing but consume."""
    COLLECTOR.spare()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)


def collect_failed_connections(*, everywhere: bool = False) -> None:
    """Close the sockets of connections that failed: they hang in cycles, and the collector may look rarely.

    They are young: to look at all there is (`everywhere`) would stop a crawl's reactor. A consumer does so,
    as what it has loaded is spared, and a connection that was tried for long is no longer young.
    """
    if everywhere:
        gc.collect()
    else:
        gc.collect(0)  # from Python 3.14 on, what is young is looked at by this alone
        gc.collect(1)
