"""One line of the log for each topic, now and then, while messages flow."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from estela_consumer.pipeline.interval import Interval
from estela_consumer.pipeline.progress import COUNTS, Progress

_TOLD = {
    "stored": "stored",
    "present": "already there",
    "superseded": "superseded",
    "dead_lettered": "dead letters",
    "tombstones": "tombstones",
}
_ALWAYS = ("stored", "present", "dead_lettered")

logger = logging.getLogger(__name__)


class TrafficLog:
    """Logs what has come of each topic since its last line: counts, rate and lag. Used by one thread.

    Nothing is logged of a topic of which nothing has come. `lag_of` says how many messages of a topic are
    still to come, or None if that is not known.
    """

    def __init__(
        self,
        progress: Progress,
        lag_of: Callable[[str], int | None],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress = progress
        self._lag_of = lag_of
        self._enabled = interval > 0
        self._clock = clock
        self._logged_at = clock()
        self._interval = Interval(interval, self._logged_at)
        self._counts: dict[str, dict[str, int]] = {}

    def tick(self) -> None:
        """Log if it is time to; to be called often."""
        if self._enabled and self._interval.is_due(self._clock()):
            self._log()

    def finish(self) -> None:
        """Log what has come since the last line."""
        if self._enabled:
            self._log()

    def _log(self) -> None:
        now = self._clock()
        seconds, self._logged_at = now - self._logged_at, now
        self._interval.restart(now)
        for topic, counts in self._progress.snapshot().topics.items():
            before = self._counts.get(topic, dict.fromkeys(COUNTS, 0))
            self._counts[topic] = counts
            new = {name: counts[name] - before[name] for name in COUNTS}
            if any(new.values()):
                self._log_topic(topic, new, seconds)

    def _log_topic(self, topic: str, new: dict[str, int], seconds: float) -> None:
        lag = self._lag_of(topic)
        done = [f"{new[name]:,} {told}" for name, told in _TOLD.items() if new[name] or name in _ALWAYS]
        logger.info(
            "%s: %s read in %.1f s (%s a second): %s%s",
            topic,
            f"{new['read']:,}",
            seconds,
            f"{new['read'] / seconds if seconds else 0:,.0f}",
            ", ".join(done),
            "" if lag is None else f"; {lag:,} to come",
            extra={"topic": topic},
        )
