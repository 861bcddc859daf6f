"""The ids of one stream's messages."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

_LAST_COUNT = 2**24 - 1


class IdSource:
    """Makes the ids of one stream of one run: ascending, and no other source has one of them.

    An id is that of a `bson.ObjectId`, as 24 hex digits: 4 bytes of seconds, 5 of a nonce that is this
    source's alone, 3 that count from 0 by one. May be called from several threads.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._nonce = secrets.token_hex(5)
        self._lock = threading.Lock()
        self._second = 0
        self._ends = 0.0  # when the second in `_head` is over
        self._head = b""  # everything before the count
        self._count = -1
        self._first = b""

    def next(self) -> bytes:
        """The next id."""
        with self._lock:
            if self._clock() >= self._ends or self._count == _LAST_COUNT:
                self._turn()
            self._count = count = self._count + 1
            return b"%b%06x" % (self._head, count)

    @property
    def first(self) -> str:
        """The first id that was made; empty where none was."""
        return self._first.decode()

    @property
    def last(self) -> str:
        """The last id that was made; empty where none was."""
        with self._lock:
            return f"{self._head.decode()}{self._count:06x}" if self._head else ""

    def _turn(self) -> None:
        """Go on in the second that it is now, never in one before.

        Where the count is used up, in one that was not used yet: else ids would not ascend, or come twice.
        """
        earliest = self._second
        if self._count == _LAST_COUNT:
            earliest, self._count = earliest + 1, -1
        now = int(self._clock())
        self._second = max(now, earliest)
        self._ends = self._second + 1.0
        self._head = b"%08x%b" % (self._second, self._nonce.encode())
        self._first = self._first or b"%b%06x" % (self._head, 0)
