"""Documents that the store refuses with an error that nobody here knows.

The error may pass by itself (a host's quota, a limit of a cloud's), or stay with this document. So the
document is tried again for a while, and then becomes a dead letter: no message may stop its partition.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from estela_consumer.errors import UnknownRefusal
from estela_wire.dataset import Dataset

RETRY_SECONDS = 60.0  # for which the documents of one batch are tried again, all together
_PERMANENT_RETRY_SECONDS = 1.0  # once the error is known to be permanent
_ALL_REFUSED_SECONDS = 600.0  # until that is believed of a dataset which takes no document at all
_REMEMBERED_SECONDS = 600.0  # since the error was met last
_MAX_REMEMBERED = 1_000

_Key: TypeAlias = tuple[Dataset, int]


class RefusalHistory:
    """Which errors are permanent. Threads may share it: its lock is held for each change.

    An error is, once it has outlasted a while in which its dataset took other documents; or, if the dataset
    takes none, once that has gone on for ten minutes. Otherwise each batch would wait for its whole time.
    """

    def __init__(self, clock: Callable[[], float], retry_seconds: float = RETRY_SECONDS) -> None:
        self.clock = clock
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._permanent: dict[_Key, float] = {}  # and when it was met last
        self._all_refused: dict[_Key, float] = {}  # and since when

    def retry_window(self) -> RetryWindow:
        """The time that one batch has."""
        return RetryWindow(self)

    def retry_seconds(self, dataset: Dataset, refusal: UnknownRefusal) -> float:
        """For how long to try again."""
        met_at = self._permanent.get((dataset, refusal.code))
        permanent = met_at is not None and self.clock() - met_at < _REMEMBERED_SECONDS
        return min(self._retry_seconds, _PERMANENT_RETRY_SECONDS) if permanent else self._retry_seconds

    def add_accepted(self, dataset: Dataset) -> None:
        """Note that the dataset takes documents."""
        if self._all_refused:
            with self._lock:
                for key in [key for key in self._all_refused if key[0] == dataset]:
                    del self._all_refused[key]

    def add_retried_in_vain(
        self, dataset: Dataset, refusal: UnknownRefusal, *, others_accepted: bool
    ) -> None:
        """Note that to try again has not helped, and whether the dataset took other documents meanwhile."""
        now, key = self.clock(), (dataset, refusal.code)
        with self._lock:
            since = self._all_refused.setdefault(key, now - self._retry_seconds)
            if others_accepted or key in self._permanent or now - since >= _ALL_REFUSED_SECONDS:
                del self._all_refused[key]
                self._permanent.pop(key, None)
                self._permanent[key] = now
            for remembered in (self._all_refused, self._permanent):
                if len(remembered) > _MAX_REMEMBERED:
                    del remembered[next(iter(remembered))]


class RetryWindow:
    """The time that the documents of one batch have, counted from its first refusal.

    Threads may share it without a lock: if two meet the first refusal at once, either's clock is right.
    """

    def __init__(self, history: RefusalHistory) -> None:
        self.history = history
        self._started_at: float | None = None

    def start(self) -> None:
        """Note a refusal: the first one starts the time."""
        if self._started_at is None:
            self._started_at = self.history.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the first refusal."""
        return 0.0 if self._started_at is None else self.history.clock() - self._started_at

    def is_over(self, dataset: Dataset, refusal: UnknownRefusal) -> bool:
        """Whether the document is to be refused finally now."""
        return self.elapsed >= self.history.retry_seconds(dataset, refusal)
