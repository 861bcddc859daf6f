"""Work that may wait for a server, with an end to the waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class NoAnswer(Exception):
    """The time was up."""


class Question(Generic[T]):
    """Begins to work on a thread of its own, which is left behind if it takes too long."""

    def __init__(self, work: Callable[[], T], timeout: float) -> None:
        self._work = work
        self._deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._results: list[T] = []
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._run, name="estela-doctor", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except Exception as error:  # noqa: BLE001  (`answer` raises it)
            self._errors.append(error)

    def answer(self) -> T:
        """What the work returned, or its error. Blocks until the time is up; raises NoAnswer then."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        if not self._results:
            raise NoAnswer(f"no answer within {self._timeout:g} s")
        return self._results[0]
