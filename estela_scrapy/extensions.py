"""The extension."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from datetime import datetime, timezone
from time import monotonic, sleep
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from scrapy.utils.asyncio import run_in_thread
from typing_extensions import Self

from estela_queue_adapter import Platform, open_platform, queue_noisy_libraries
from estela_queue_adapter.collector import COLLECTOR
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.serialization.writing import Converted, Unwritable
from estela_scrapy.backpressure import Room
from estela_scrapy.delivery.buffer import Undelivered
from estela_scrapy.delivery.outbox import Outbox
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.delivery_report import account, say_what_is_left
from estela_scrapy.failures import ConversionLog, FailureLog, cut, page_of
from estela_scrapy.job.identity import Job, identify
from estela_scrapy.job.logs import MAX_LINE, JobLogHandler
from estela_scrapy.job.runs import count_run
from estela_scrapy.payloads import ItemSerializer, request_payload
from estela_scrapy.refusal import Misconfigured
from estela_scrapy.setting_sources import is_set_by_operator
from estela_scrapy.settings import ExtensionSettings
from estela_scrapy.streams import Streams
from estela_terminal.printable import printable_logger

_STEP = 0.5  # seconds: a process that is ended by force waits for a thread that waits
_LOOK_AGAIN = 0.05  # seconds
_FORCED = "forced"  # why a spider closed that nobody closed

T = TypeVar("T")

logger = printable_logger(__name__)


class QueueExtension:
    """Publishes every item, a record of every request, and what a job tells of itself."""

    def __init__(self, crawler: Crawler, settings: ExtensionSettings, platform: Platform, job: Job) -> None:
        self._crawler = crawler
        self._settings = settings
        self._platform = platform
        self._job = job
        self._log = _log_handler(crawler, settings, platform)
        self._serializer = ItemSerializer(settings.serializer)
        self._failures = FailureLog()
        self._conversions = ConversionLog()
        self._in_downloader: WeakKeyDictionary[Request, float] = WeakKeyDictionary()
        self._opened = datetime.now(timezone.utc)
        self._reason = ""
        self._wait_left = settings.close_timeout
        self._finished = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self | Misconfigured:
        """Scrapy's way in; a wrong setting is told in one line, and the crawl does not start."""
        try:
            if not _is_wanted(crawler):
                raise NotConfigured
            settings = ExtensionSettings.from_scrapy(crawler.settings)
            job = _identify(crawler, settings)
            settings.check_names(job)
            platform = open_platform(environ=settings.environ)
        except ConfigurationError as error:
            return Misconfigured(crawler, error)
        for library in queue_noisy_libraries:  # what an outage means, the publisher says in one line
            if logging.getLogger(library).level == logging.NOTSET:
                logging.getLogger(library).setLevel(logging.CRITICAL)
        extension = cls(crawler, settings, platform, job)
        for misspelt in ExtensionSettings.misspelt(crawler.settings):
            logger.warning("%s", misspelt)
        COLLECTOR.prepare()
        crawler.signals.connect(extension.spider_opened, signals.spider_opened)
        return extension

    def spider_opened(self, spider: Spider) -> None:
        """Begin to publish."""
        settings = self._settings
        self._publisher = Publisher(
            self._platform.producer,
            Outbox(settings.outbox_path, settings.outbox_max_bytes),
            buffer_bytes=settings.buffer_bytes,
            mode=settings.outbox,
            interval=settings.outbox_interval,
        )
        self._publisher.start()
        run = count_run(self._crawler.settings.get("JOBDIR"), self._job.jid)
        self._streams = Streams(self._publisher, settings, self._job, run)
        self._room = Room(self._crawler, lambda: self._publisher.full)
        self._connect()
        COLLECTOR.spare()
        atexit.register(self._ended_by_force)
        if self._log is not None:
            self._streams.begin_logs(self._log)
        logger.info(
            "Publishing job %s to %s", self._job.jid, self._platform.describe(), extra={"spider": spider}
        )

    def _connect(self) -> None:
        connect = self._crawler.signals.connect
        connect(self.spider_closed, signals.spider_closed)
        connect(self.engine_stopped, signals.engine_stopped)
        if self._settings.items_topic:
            connect(self.item_scraped, signals.item_scraped)
        if self._settings.requests_topic:
            connect(self.request_reached_downloader, signals.request_reached_downloader)
            connect(self.response_downloaded, signals.response_downloaded)
            connect(self.request_left_downloader, signals.request_left_downloader)

    async def item_scraped(self, item: Any, response: Response | None, spider: Spider) -> None:
        """Publish the item as it is now; if there is no room, Scrapy holds the spider back.

        Whatever goes wrong costs this item alone, and is said and counted.
        """
        converted: list[Converted] = []
        try:
            self._streams.items.publish(self._serializer.serialize(item, converted))
        except Exception as error:  # noqa: BLE001  (an item brings code of its own)
            self._streams.items.failed += 1
            self._failures.add("Item", item, error, page_of(response), spider)
            return
        if converted:
            self._conversions.add(item, converted, page_of(response), spider)
        if not self._room.look():
            await self._room.wait()

    def request_reached_downloader(self, request: Request) -> None:
        """Note when a request went out."""
        self._in_downloader[request] = monotonic()

    def response_downloaded(self, response: Response, request: Request) -> None:
        """Publish a record of the request that was answered."""
        self._publish_request(request, response)

    def request_left_downloader(self, request: Request) -> None:
        """Publish a record of the request, if no answer came."""
        if request in self._in_downloader:
            self._publish_request(request, None)

    async def spider_closed(self, spider: Spider, reason: str) -> None:
        """Wait for the queue, and have Scrapy's last stats say how it went."""
        self._reason = reason
        self._failures.sum_up(spider)
        left = Undelivered(0, 0)
        try:
            if not await self._wait_for_the_queue():
                left = await run_in_thread(self._publisher.close)
            self._account(left)
        finally:
            if not self._engine_will_stop():
                await self._finish()

    async def engine_stopped(self) -> None:
        """Tell how it went: the last stats and log lines are there only now.

        A signal to stop that meets a spider which is closing already brings this early.
        """
        while self._crawler.engine.spider is not None and self._wait_left > 0:
            await self._spend(sleep, _LOOK_AGAIN)
        await self._finish()

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
            await self._wait_for_the_queue()
            left = await run_in_thread(self._publisher.close)
            atexit.unregister(self._ended_by_force)
            COLLECTOR.release()
            self._account(left)
            timeout = self._settings.close_timeout
            self._say_what_is_left(
                left, f"the queue did not take them within ESTELA_CLOSE_TIMEOUT = {timeout} s"
            )

    async def _wait_for_the_queue(self) -> bool:
        """Whether it has taken everything, within what remains of ESTELA_CLOSE_TIMEOUT."""
        while self._wait_left > 0:
            if await self._spend(self._publisher.wait, min(_STEP, self._wait_left)):
                return True
        return False

    async def _spend(self, wait: Callable[[float], T], seconds: float) -> T:
        """Wait in a thread, at the cost of what remains of ESTELA_CLOSE_TIMEOUT."""
        self._wait_left -= seconds
        began = monotonic()
        try:
            return await run_in_thread(wait, seconds)
        finally:
            self._wait_left += seconds - (monotonic() - began)

    def _account(self, left: Undelivered) -> None:
        account(self._crawler.stats, self._publisher, self._streams, left)
        self._crawler.stats.set_value("estela/items/converted", self._conversions.items)
        self._crawler.stats.set_value("estela/pauses", self._room.pauses)

    def _ended_by_force(self) -> None:
        """A second signal has stopped the reactor: no spider_closed comes, or it will never be through."""
        if not self._reason:
            self._failures.sum_up(self._crawler.spider)
        try:
            if not self._finished:
                self._streams.end(self._crawler, self._reason or _FORCED, self._opened)
        finally:
            self._say_what_is_left(self._publisher.close(), "the crawl was ended by force")

    def _say_what_is_left(self, left: Undelivered, why: str) -> None:
        path = self._settings.outbox_path
        say_what_is_left(self._publisher, left, why, path, self._crawler.spider)

    def _publish_request(self, request: Request, response: Response | None) -> None:
        began = self._in_downloader.pop(request, None)
        duration = 0.0 if began is None else monotonic() - began
        try:
            fingerprint = self._fingerprint(request)
            payload = request_payload(request, response, duration, fingerprint, datetime.now(timezone.utc))
            self._streams.requests.publish(payload)
        except Exception as error:  # noqa: BLE001  (a record costs itself alone, as an item does)
            self._streams.requests.failed += 1
            page = cut(str(request.url))
            self._failures.add("Record of a request", request, error, page, self._crawler.spider)
            return
        self._room.look()

    def _fingerprint(self, request: Request) -> Any:
        try:
            return self._crawler.request_fingerprinter.fingerprint(request)
        except Exception as error:
            raise Unwritable("fingerprint", error) from error


def _is_wanted(crawler: Crawler) -> bool:
    """Whether this crawl is to be published.

    `scrapy shell` opens a spider, but crawls nothing. `scrapy check`, `bench`, `fetch` and `parse` crawl with
    a `start` of their own, to show something: they publish only if the command line or the environment says
    so.
    """
    if not ExtensionSettings.is_enabled(crawler.settings) or not crawler.crawling:
        return False
    start = getattr(crawler.spidercls, "start", None)
    of_a_command = str(getattr(start, "__module__", "")).startswith("scrapy.commands.")
    return not of_a_command or is_set_by_operator("ESTELA_ENABLED", crawler.settings, os.environ)


def _identify(crawler: Crawler, settings: ExtensionSettings) -> Job:
    """The job, named after the spider itself: `crawl(S, name=...)` names it, not its class."""
    name = str((crawler.spider or crawler.spidercls).name)
    project = str(crawler.settings.get("BOT_NAME") or "")
    return identify(name, project, settings.environ, jobdir=crawler.settings.get("JOBDIR"))


def _log_handler(crawler: Crawler, settings: ExtensionSettings, platform: Platform) -> JobLogHandler | None:
    """What keeps the crawl's log lines from now on, if they are to be published."""
    if not settings.logs_topic:
        return None
    most = platform.max_message_bytes
    max_bytes = MAX_LINE if most is None else min(MAX_LINE, most // 2)  # the envelope needs some, too
    handler = JobLogHandler.from_crawler(crawler, settings.logs_level, max_bytes)
    handler.hear_the_start(crawler.settings)
    handler.listen()
    return handler
