"""Holding the crawl back while there is no room for what it brings."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import cast

from scrapy.crawler import Crawler
from scrapy.utils.asyncio import call_later
from scrapy.utils.defer import maybe_deferred_to_future
from twisted.internet.defer import Deferred

from estela_terminal.printable import printable_logger

_LOOK_AGAIN = 0.05  # seconds
_SAY_AGAIN = 60.0  # seconds: a queue that is a little too slow has no room many times a minute

logger = printable_logger(__name__)


class _Mark(int):
    """True, and yet told from anybody else's: what `engine.paused` is while the pause is ours."""


class Room:
    """Pauses the engine, since requests cannot wait as items can, and lets items wait.

    Others pause the engine too, such as the telnet console: whoever does so after us makes the pause theirs,
    and only they end it. Lives on the reactor's thread alone.
    """

    def __init__(self, crawler: Crawler, full: Callable[[], bool]) -> None:
        self._crawler = crawler
        self._full = full
        self._waiting: list[Deferred[None]] = []
        self._held = False
        self._mark = cast(bool, _Mark(True))
        self._said_at = float("-inf")
        self.pauses = 0

    def look(self) -> bool:
        """Whether there is room; if there is none, the engine is paused until there is."""
        if not self._held and self._full():
            self._hold_back()
        return not self._held

    async def wait(self) -> None:
        """Return when there is room again, or when the spider is being closed: the end has its own limit."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        await maybe_deferred_to_future(waiter)

    def _hold_back(self) -> None:
        if monotonic() - self._said_at > _SAY_AGAIN:
            self._said_at = monotonic()
            logger.warning("No room for more messages: the crawl waits for the queue, and goes on by itself.")
        self._held = True
        self.pauses += 1
        self._pause()
        call_later(_LOOK_AGAIN, self._look_again)

    def _pause(self) -> None:
        engine = self._crawler.engine
        if not engine.paused:
            engine.pause()
            engine.paused = self._mark

    def _look_again(self) -> None:
        if self._full() and not self._ending():
            self._pause()  # again, if somebody has ended our pause meanwhile
            call_later(_LOOK_AGAIN, self._look_again)
            return
        self._held = False
        if self._crawler.engine.paused is self._mark:
            self._crawler.engine.unpause()
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)

    def _ending(self) -> bool:
        slot = getattr(self._crawler.engine, "_slot", None)
        return slot is None or slot.closing is not None
