"""The end of a crawl: the queue is waited for, the last messages go out, and everything is accounted for."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from datetime import datetime
from time import monotonic, sleep
from typing import TypeVar

from scrapy.crawler import Crawler

from estela_queue_adapter.collector import COLLECTOR
from estela_scrapy.compat import run_in_thread
from estela_scrapy.delivery.buffer import Undelivered
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.delivery_report import DeliveryReport
from estela_scrapy.failures import FailureLog
from estela_scrapy.job.streams import Streams

_STEP = 0.5  # seconds: a process that is ended by force waits for a thread that waits
_CHECK_INTERVAL = 0.05  # seconds
_FORCED = "forced"  # why a spider closed that nobody closed

T = TypeVar("T")


class CloseTimeout:
    """What remains of ESTELA_CLOSE_TIMEOUT: seconds that the end of a crawl may wait, in all.

    Used on the reactor's thread alone; what waits does so in the reactor's thread pool.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.remaining = seconds

    async def spend(self, wait: Callable[[float], T], seconds: float) -> T:
        """Call `wait(seconds)` in a thread, at the cost of what remains."""
        self.remaining -= seconds
        began = monotonic()
        try:
            return await run_in_thread(wait, seconds)
        finally:
            self.remaining += seconds - (monotonic() - began)


class CrawlEnd:
    """Ends a crawl, in the order in which Scrapy does: the spider, then the engine; or by force.

    When the spider closes, the queue is waited for, so that the stats that Scrapy dumps say how it went. The
    last stats and log lines are there only when the engine has stopped: they and the closing record are
    published then.

    `spider_closed` and `engine_stopped` run on the reactor's thread and wait in its thread pool, never there.
    `forced` runs on the main thread at exit, when the reactor runs no more: neither meets the other. It is
    registered from the start until the crawl has ended.
    """

    def __init__(
        self,
        crawler: Crawler,
        publisher: Publisher,
        streams: Streams,
        failures: FailureLog,
        report: DeliveryReport,
        opened: datetime,
        timeout: float,
    ) -> None:
        self._crawler = crawler
        self._publisher = publisher
        self._streams = streams
        self._failures = failures
        self._report = report
        self._opened = opened
        self._timeout = CloseTimeout(timeout)
        self._reason = ""
        self._finished = False
        atexit.register(self.forced)

    async def spider_closed(self, reason: str) -> None:
        """Wait for the queue, and have Scrapy's last stats say how it went."""
        self._reason = reason
        self._failures.log_summary(self._crawler.spider)
        undelivered = Undelivered(0, 0)
        try:
            if not await self._wait_for_queue():
                undelivered = await run_in_thread(self._publisher.close)
            self._report.set_stats(undelivered)
        finally:
            if not self._engine_will_stop():
                await self._finish()

    async def engine_stopped(self) -> None:
        """Publish the last messages, and report what became of all.

        A signal to stop that meets a spider which is closing already brings this early.
        """
        while self._crawler.engine.spider is not None and self._timeout.remaining > 0:
            await self._timeout.spend(sleep, _CHECK_INTERVAL)
        await self._finish()

    def forced(self) -> None:
        """End at exit: a second signal has stopped the reactor, so that no other end comes or is through."""
        if not self._reason:
            self._failures.log_summary(self._crawler.spider)
        try:
            if not self._finished:
                self._streams.end(self._crawler, self._reason or _FORCED, self._opened)
        finally:
            self._report.log_undelivered(self._publisher.close(), "the crawl was ended by force")

    def _engine_will_stop(self) -> bool:
        """Whether `engine_stopped` will come: not if the spider was closed before the engine started.

        Nor is it certain if another component stops the engine itself.
        """
        engine = self._crawler.engine
        return engine.start_time is not None and (engine.running or not self._crawler.crawling)

    async def _finish(self) -> None:
        """Publish the job's stats and its closing record, and account for everything."""
        if self._finished:
            return
        self._finished = True
        try:
            self._streams.end(self._crawler, self._reason, self._opened)
        finally:
            await self._wait_for_queue()
            undelivered = await run_in_thread(self._publisher.close)
            atexit.unregister(self.forced)
            COLLECTOR.release()
            self._report.set_stats(undelivered)
            why = f"the queue did not take them within ESTELA_CLOSE_TIMEOUT = {self._timeout.seconds} s"
            self._report.log_undelivered(undelivered, why)

    async def _wait_for_queue(self) -> bool:
        """Whether it has taken everything, within what remains of the timeout."""
        while self._timeout.remaining > 0:
            step = min(_STEP, self._timeout.remaining)
            if await self._timeout.spend(self._publisher.wait, step):
                return True
        return False
