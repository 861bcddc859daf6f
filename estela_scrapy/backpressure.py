"""Holding the crawl back while the buffer is full."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import cast

from scrapy.crawler import Crawler
from scrapy.utils.defer import maybe_deferred_to_future
from twisted.internet.defer import Deferred

from estela_scrapy.compat import call_later, slot_of
from estela_terminal.printable import printable_logger

_CHECK_INTERVAL = 0.05  # seconds
_WARNING_INTERVAL = (
    60.0  # seconds: with a queue that is a little too slow a crawl is paused many times a minute
)

logger = printable_logger(__name__)


class _OurPause(int):
    """True, but an object of its own: what `engine.paused` is while the pause is ours."""


class Backpressure:
    """Pauses the engine, since requests cannot wait as items can, and lets items wait.

    Others pause the engine too, such as the telnet console: whoever does so after us makes the pause theirs,
    and only they end it. Lives on the reactor's thread alone.
    """

    def __init__(self, crawler: Crawler, full: Callable[[], bool]) -> None:
        self._crawler = crawler
        self._full = full
        self._waiters: list[Deferred[None]] = []
        self._holding = False
        self._our_pause = cast(bool, _OurPause(True))
        self._warned_at = float("-inf")
        self.pauses = 0

    def check(self) -> bool:
        """Whether the crawl may go on; if the buffer is full, the engine is paused until it is not."""
        if self._holding:
            return False
        if self._full():
            self._hold_back()
            return False
        return True

    async def wait(self) -> None:
        """Return when the crawl may go on, or when the spider is being closed: the end has its own limit."""
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        await maybe_deferred_to_future(waiter)

    def _hold_back(self) -> None:
        if monotonic() - self._warned_at > _WARNING_INTERVAL:
            self._warned_at = monotonic()
            logger.warning(
                "Crawl paused: the buffer (ESTELA_BUFFER_BYTES) is full. It goes on by itself once the queue "
                "has taken messages."
            )
        self._holding = True
        self.pauses += 1
        self._pause()
        call_later(_CHECK_INTERVAL, self._check_again)

    def _pause(self) -> None:
        engine = self._crawler.engine
        if not engine.paused:
            engine.pause()
            engine.paused = self._our_pause

    def _check_again(self) -> None:
        if self._full() and not self._closing():
            self._pause()  # again, if somebody has ended our pause meanwhile
            call_later(_CHECK_INTERVAL, self._check_again)
            return
        self._holding = False
        if self._crawler.engine.paused is self._our_pause:
            self._crawler.engine.unpause()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _closing(self) -> bool:
        slot = slot_of(self._crawler.engine)
        return slot is None or slot.closing is not None
