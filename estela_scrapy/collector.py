"""Python's cycle collector while crawls run. A process has one, so this is a process's too."""

from __future__ import annotations

import gc


class Collector:
    """Has the collector look past what is loaded by now, from the first `spare` to the last `release`.

    It stops every thread, the reactor's too. What Scrapy and its libraries are made of is most of what it
    looks through, 50 ms at a time, and messages on their way make it look more often. What somebody else has
    frozen stays as it is: `gc.unfreeze` knows no owners, so nothing is frozen or thawed then. Not for several
    threads: crawls of one process share the reactor's.
    """

    def __init__(self) -> None:
        self._crawls = 0
        self._frozen = 0  # objects, by us; 0 if the host had frozen its own

    def prepare(self) -> None:
        """Collect what is garbage by now, which takes some tens of milliseconds, if `spare` is to freeze."""
        if self._crawls == 0 and gc.get_freeze_count() == 0:
            gc.collect()

    def spare(self) -> None:
        """One more crawl."""
        self._crawls += 1
        if self._crawls == 1 and gc.get_freeze_count() == 0:
            gc.freeze()
            self._frozen = gc.get_freeze_count()

    def release(self) -> None:
        """One crawl less."""
        self._crawls -= 1
        if self._crawls == 0:
            if 0 < gc.get_freeze_count() <= self._frozen:  # more than ours: the host froze some meanwhile
                gc.unfreeze()
            self._frozen = 0


COLLECTOR = Collector()
