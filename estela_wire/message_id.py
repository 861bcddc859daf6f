"""The ids of messages: 4 bytes of seconds, 5 of a nonce, 3 that count; 24 hex digits in an envelope.

All ids of one stream and run share a nonce, and no other has it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

COUNTS = 2**24
"""How many ids of one nonce and second there are."""

BYTES = 12
"""Of an id."""
HEX_DIGITS = 2 * BYTES
"""Of an id in an envelope."""
_NONCE = slice(4, 9)
_COUNT = slice(9, 12)
_LAST_COUNT = COUNTS - 1


def id_bytes(given: Any) -> bytes | None:
    """The 12 bytes of an id that is given as 24 hex digits; None for anything else."""
    try:
        identity = bytes.fromhex(given)
    except (ValueError, TypeError):
        return None
    # `fromhex` passes over spaces.
    return identity if len(identity) == BYTES and len(given) == HEX_DIGITS else None


def make_id(seconds: int, nonce: bytes, count: int) -> bytes:
    """The 12 bytes of an id; of `seconds` and `count` the last 4 and 3 bytes count."""
    return (seconds & 0xFFFFFFFF).to_bytes(4, "big") + nonce + (count & 0xFFFFFF).to_bytes(3, "big")


def nonce_of(identity: bytes) -> bytes:
    """The part of a message's id that every message of its stream and run shares, and no other has."""
    return identity[_NONCE]


def count_of(identity: bytes) -> int:
    """The number of the message among those with its nonce; it comes again after COUNTS messages."""
    return int.from_bytes(identity[_COUNT], "big")


class IdRange(NamedTuple):
    """The ids of one stream of one run: those from `first` to `last` with their nonce, 12 bytes each."""

    first: bytes
    last: bytes

    @property
    def nonce(self) -> bytes:
        """What the ids share."""
        return nonce_of(self.first)

    def holds(self, identity: bytes) -> bool:
        """Whether it is one of them."""
        return self.first <= identity <= self.last and nonce_of(identity) == self.nonce


class IdSource:
    """Makes the ids of one stream of one run: ascending, and no other source has one of them.

    The nonce is this source's alone, and the count goes up from 0 by one. May be called from several threads.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._nonce = secrets.token_hex(5)
        self._lock = threading.Lock()  # guards all that follows
        self._second = 0
        self._ends = 0.0  # when the second in `_head` is over
        self._head = b""  # everything before the count
        self._count = -1
        self._first = b""

    def next(self) -> bytes:
        """The next id, as 24 hex digits."""
        with self._lock:
            if self._clock() >= self._ends or self._count == _LAST_COUNT:
                self._begin_second()
            self._count = count = self._count + 1
            return b"%b%06x" % (self._head, count)

    @property
    def first(self) -> str:
        """The first id that was made; empty if none was."""
        with self._lock:
            return self._first.decode()

    @property
    def last(self) -> str:
        """The last id that was made; empty if none was."""
        with self._lock:
            return f"{self._head.decode()}{self._count:06x}" if self._head else ""

    def _begin_second(self) -> None:
        """Go on in the second that it is now, never in one before.

        If the count is used up, in one that was not used yet: else ids would not ascend, or come twice.
        """
        earliest = self._second
        if self._count == _LAST_COUNT:
            earliest, self._count = earliest + 1, -1
        now = int(self._clock())
        self._second = max(now, earliest)
        self._ends = self._second + 1.0
        self._head = b"%08x%b" % (self._second, self._nonce.encode())
        self._first = self._first or b"%b%06x" % (self._head, 0)
