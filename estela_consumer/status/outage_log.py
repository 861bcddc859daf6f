"""What is unavailable now, and what was."""

from __future__ import annotations

from collections.abc import Callable

from estela_consumer.retry import Outage
from estela_consumer.status.model import OutageStatus

_REMEMBERED = 10


class OutageLog:
    """The outages of some parts, as whoever asks them sees it. Belongs to one thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` tells seconds since the epoch."""
        self._clock = clock
        self._outages: dict[str, Outage] = {}
        self._present: dict[str, OutageStatus] = {}
        self.past: tuple[OutageStatus, ...] = ()
        """The last ten, the latest first."""

    @property
    def present(self) -> tuple[OutageStatus, ...]:
        """Those that go on."""
        return tuple(self._present.values())

    def failed(self, part: str, error: Exception) -> None:
        """Note that a part did not answer, or refuses us."""
        outage = self._outages.setdefault(part, Outage(part, self._clock, quiet=True))
        outage.failed(error)
        known = outage.snapshot()
        began = self._present[part].began if part in self._present else self._clock()
        self._present[part] = OutageStatus(part=part, began=began, refused=known.refused, error=known.error)

    def succeeded(self, part: str) -> None:
        """Note that it answered."""
        if part in self._present:
            self._outages.pop(part)
            over = self._present.pop(part)
            ended = OutageStatus(
                part=part, began=over.began, ended=self._clock(), refused=over.refused, error=over.error
            )
            self.past = (ended, *self.past)[:_REMEMBERED]
