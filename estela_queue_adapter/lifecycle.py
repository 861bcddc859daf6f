"""The end of the interpreter, and forks of the process: what is open is notified of both.

When destructors run at the very end, the threads of a client are dead, and whoever waits for one of them
waits for ever. And a fork copies a client without its threads. So what is open is notified of both in time.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Protocol

from typing_extensions import Self

from estela_terminal.printable import printable_logger

_END_TIMEOUT = 10.0  # seconds for all that is open together: for messages that are not acknowledged yet

logger = printable_logger(__name__)


class Closing(ABC):
    """A context manager that closes on the way out."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held. Calling it twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Open(Protocol):
    """What has threads or connections."""

    def end(self, timeout: float) -> None:
        """The interpreter shuts down: take nothing more, and be done within about `timeout` seconds."""

    def forked(self) -> None:
        """This is a copy in a forked process: let go of what is the parent's, without touching it."""


class _Lifecycle:
    """All that is open in this process; each is forgotten when nobody else knows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the set
        self._open: weakref.WeakSet[Open] = weakref.WeakSet()
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended or sys.is_finalizing()

    def add(self, one: Open) -> None:
        with self._lock:
            self._open.add(one)

    def end(self) -> None:
        deadline = time.monotonic() + _END_TIMEOUT
        for one in self._all():
            try:
                one.end(max(0.0, deadline - time.monotonic()))
            except Exception as error:  # noqa: BLE001  (the others are to end too)
                logger.error(
                    "A %s was still open when the process ended: %s. Close it before that.",
                    type(one).__name__,
                    error,
                )
        self._ended = True

    def forked(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it
        for one in self._all():
            one.forked()

    def _all(self) -> list[Open]:
        with self._lock:
            return list(self._open)


_lifecycle = _Lifecycle()
# At the import, as what is registered first is called last: handlers of others may still send until then.
atexit.register(_lifecycle.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lifecycle.forked)


def watch(one: Open) -> None:
    """Tell `one` when the interpreter ends or the process is forked. Holds no reference to it."""
    _lifecycle.add(one)


def interpreter_ended() -> bool:
    """Whether it is too late to open anything: its threads would never run."""
    return _lifecycle.ended
