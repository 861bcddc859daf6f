"""How long a document is tried again that the store refuses with an error that nobody here knows.

Such an error may pass by itself (a host's quota, a limit of a cloud's), or be this document's for ever. So it
is tried again for a while, and then it is a dead letter: no message may stop its partition.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from estela_consumer.errors import UnknownRefusal
from estela_wire.dataset import Dataset

WHILE = 60.0  # seconds that the documents of one batch are tried again, all together
_SHORT_WHILE = 1.0  # seconds, once it is known that the error is there to stay
_ALL_REFUSED = 600.0  # seconds until that is believed of a dataset which takes no document at all
_REMEMBERED = 600.0  # seconds since the error was met last
_MOST_REMEMBERED = 1_000

_Key: TypeAlias = tuple[Dataset, int]


class Refusals:
    """Which errors are there to stay. Threads may share it.

    An error is, once it has outlasted a while in which its dataset took other documents; or, if the dataset
    takes none, once that has gone on for ten minutes. Else each batch would wait its while anew, for ever.
    """

    def __init__(self, clock: Callable[[], float], while_: float = WHILE) -> None:
        self.clock = clock
        self._while = while_
        self._lock = threading.Lock()
        self._staying: dict[_Key, float] = {}  # and when it was met last
        self._all_refused: dict[_Key, float] = {}  # and since when

    def trial(self) -> Trial:
        """The time that one batch has."""
        return Trial(self)

    def time_for(self, dataset: Dataset, refusal: UnknownRefusal) -> float:
        """Seconds for which to try again."""
        met = self._staying.get((dataset, refusal.code))
        stays = met is not None and self.clock() - met < _REMEMBERED
        return min(self._while, _SHORT_WHILE) if stays else self._while

    def taken(self, dataset: Dataset) -> None:
        """Note that the dataset takes documents."""
        if self._all_refused:
            with self._lock:
                for key in [key for key in self._all_refused if key[0] == dataset]:
                    del self._all_refused[key]

    def outlasted(self, dataset: Dataset, refusal: UnknownRefusal, *, others_taken: bool) -> None:
        """Note that to try again has not helped, and whether the dataset took other documents meanwhile."""
        now, key = self.clock(), (dataset, refusal.code)
        with self._lock:
            since = self._all_refused.setdefault(key, now - self._while)
            if others_taken or key in self._staying or now - since >= _ALL_REFUSED:
                del self._all_refused[key]
                self._staying.pop(key, None)
                self._staying[key] = now
            for remembered in (self._all_refused, self._staying):
                if len(remembered) > _MOST_REMEMBERED:
                    del remembered[next(iter(remembered))]


class Trial:
    """The time that the documents of one batch have, counted from its first refusal. Threads may share it."""

    def __init__(self, refusals: Refusals) -> None:
        self.refusals = refusals
        self._began: float | None = None

    def begin(self) -> None:
        """Note a refusal: the first one starts the time."""
        if self._began is None:
            self._began = self.refusals.clock()

    @property
    def seconds(self) -> float:
        """Since the first refusal."""
        return 0.0 if self._began is None else self.refusals.clock() - self._began

    def is_over(self, dataset: Dataset, refusal: UnknownRefusal) -> bool:
        """Whether the document is to be refused for good now."""
        return self.seconds >= self.refusals.time_for(dataset, refusal)
