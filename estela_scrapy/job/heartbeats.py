"""The heartbeats of a job: who looks from outside can tell one that runs from one that was killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from scrapy.crawler import Crawler

from estela_scrapy.compat import looping_call
from estela_scrapy.job.streams import Streams
from estela_terminal.printable import printable_logger

logger = printable_logger(__name__)


class Heartbeats:
    """Sends one every `interval` seconds from `start` to `stop`, the first after the first interval.

    Lives on the reactor's thread. Nothing is sent while the queue has not acknowledged the one before, so an
    outage leaves one in the outbox, not hundreds.
    """

    def __init__(self, crawler: Crawler, streams: Streams, opened: datetime, interval: float) -> None:
        """An `interval` of 0 means none."""
        self._crawler = crawler
        self._streams = streams
        self._opened = opened
        self._interval = interval
        self._cancel: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin. Call it once."""
        if self._interval and self._streams.has_jobs:
            self._cancel = looping_call(self._interval, self._beat)

    def stop(self) -> None:
        """Send no more. Twice is fine."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()

    def _beat(self) -> None:
        try:
            self._streams.publish_heartbeat(self._crawler, self._opened, self._interval)
        except Exception:  # the stats collector may be anybody's, and the crawl goes on
            logger.exception("No more heartbeats of this job are sent.")
            self.stop()
