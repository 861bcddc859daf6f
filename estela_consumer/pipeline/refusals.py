"""Documents that the store refuses with an error that nobody here knows.

The error may pass by itself (a host's quota, a limit of a cloud's), or stay with this document. So the
document is tried again for a while, and then becomes a dead letter: no message may stop its partition.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from estela_consumer.errors import UnknownRefusal
from estela_wire.dataset import Dataset

RETRY_SECONDS = 60.0  # for which the documents of one batch are tried again, all together
_PERMANENT_RETRY_SECONDS = 1.0  # once the error is known to be permanent
_ONSET_SECONDS = 1.0  # after the first refusal, in which an outage may not have reached every writer yet
_ALL_REFUSED_SECONDS = 600.0  # until that is believed of a store which takes no document at all
_REMEMBERED_SECONDS = 600.0  # since the error was met last
_MAX_REMEMBERED = 1_000

# A server's code, whatever the dataset: one that has a bad name is often not seen again. An error without a
# code may be any, so it tells only of its dataset.
_Key: TypeAlias = "int | Dataset"


@dataclass(slots=True)
class _InVain:
    """An error that has been waited for in vain, and may be permanent."""

    dataset: Dataset
    since: float
    until: float


class RefusalHistory:
    """Which errors are permanent. Threads may share it: its lock is held for each change.

    An error is, once it has outlasted a while in which the store took other documents, of whatever dataset:
    so it is no outage. If the store takes none, it is once that has gone on for ten minutes. Otherwise each
    batch would wait for its whole time. An error that passes after all is no longer held to be permanent.
    """

    def __init__(self, clock: Callable[[], float], retry_seconds: float = RETRY_SECONDS) -> None:
        self.clock = clock
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._accepted_at = -math.inf  # when the store took a document last
        self._permanent: dict[_Key, float] = {}  # and when it was met last
        self._in_vain: dict[_Key, _InVain] = {}

    def retry_window(self) -> RetryWindow:
        """The time that one batch has."""
        return RetryWindow(self)

    def retry_seconds(self, dataset: Dataset, refusal: UnknownRefusal) -> float:
        """For how long to try again."""
        met_at = self._permanent.get(_key(dataset, refusal))
        permanent = met_at is not None and self.clock() - met_at < _REMEMBERED_SECONDS
        return min(self._retry_seconds, _PERMANENT_RETRY_SECONDS) if permanent else self._retry_seconds

    def add_accepted(self, dataset: Dataset) -> None:
        """Note that the store took documents of the dataset."""
        self._accepted_at = self.clock()
        if self._in_vain:
            with self._lock:
                for key in [key for key, found in self._in_vain.items() if found.dataset == dataset]:
                    del self._in_vain[key]  # an error of the whole dataset, which has passed

    def add_refused(self, dataset: Dataset, refusal: UnknownRefusal) -> None:
        """Note a refusal. It is permanent if others were taken since it was waited for in vain."""
        key = _key(dataset, refusal)
        found = self._in_vain.get(key)
        if found is not None and self._accepted_at > found.until:
            with self._lock:
                self._remember_permanent(key)

    def add_passed(self, dataset: Dataset, refusal: UnknownRefusal) -> None:
        """Note that the store took a document which it had refused so."""
        key = _key(dataset, refusal)
        if key in self._permanent or key in self._in_vain:
            with self._lock:
                self._permanent.pop(key, None)
                self._in_vain.pop(key, None)

    def add_retried_in_vain(
        self, dataset: Dataset, refusal: UnknownRefusal, *, since: float, others_accepted: bool
    ) -> None:
        """Note that to try again has not helped since then, and whether the dataset took other documents."""
        now, key = self.clock(), _key(dataset, refusal)
        settled_at = since + min(_ONSET_SECONDS, self._retry_seconds / 2)
        with self._lock:
            found = self._in_vain.setdefault(key, _InVain(dataset, now - self._retry_seconds, now))
            if (
                others_accepted
                or key in self._permanent
                or self._accepted_at > settled_at
                or now - found.since >= _ALL_REFUSED_SECONDS
            ):
                self._remember_permanent(key)
            if len(self._in_vain) > _MAX_REMEMBERED:
                del self._in_vain[next(iter(self._in_vain))]

    def _remember_permanent(self, key: _Key) -> None:
        self._in_vain.pop(key, None)
        self._permanent.pop(key, None)
        self._permanent[key] = self.clock()
        if len(self._permanent) > _MAX_REMEMBERED:
            del self._permanent[next(iter(self._permanent))]


def _key(dataset: Dataset, refusal: UnknownRefusal) -> _Key:
    return refusal.code or dataset


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
    def started_at(self) -> float:
        """When the first refusal was; now, if there was none."""
        return self.history.clock() if self._started_at is None else self._started_at

    @property
    def elapsed(self) -> float:
        """Seconds since the first refusal."""
        return self.history.clock() - self.started_at

    def is_over(self, dataset: Dataset, refusal: UnknownRefusal) -> bool:
        """Whether the document is to be refused finally now."""
        return self.elapsed >= self.history.retry_seconds(dataset, refusal)
