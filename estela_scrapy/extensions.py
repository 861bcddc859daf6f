"""The extension."""

from __future__ import annotations

import atexit
import gc
import logging
from datetime import datetime, timezone
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, NotConfigured
from scrapy.http import Response
from scrapy.utils.asyncio import run_in_thread
from typing_extensions import Self

from estela_queue_adapter import Platform, open_platform, queue_noisy_libraries
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.printable import printable_logger
from estela_queue_adapter.writing import Converted, Unwritable
from estela_scrapy.accounts import account, say_what_is_left
from estela_scrapy.failures import ConversionLog, FailureLog, cut, page_of
from estela_scrapy.identity import Job, identify
from estela_scrapy.job_runs import count_run
from estela_scrapy.outbox import Outbox
from estela_scrapy.payloads import ItemSerializer, request_payload
from estela_scrapy.publisher import Publisher
from estela_scrapy.room import Room
from estela_scrapy.settings import ExtensionSettings
from estela_scrapy.spool import Left
from estela_scrapy.streams import Streams

_STEP = 0.5  # seconds: a process that is ended by force waits for a thread that waits

logger = printable_logger(__name__)


class QueueExtension:
    """Publishes every item, a record of every request, and what a job tells of itself."""

    def __init__(self, crawler: Crawler, settings: ExtensionSettings, platform: Platform, job: Job) -> None:
        self._crawler = crawler
        self._settings = settings
        self._platform = platform
        self._job = job
        self._serializer = ItemSerializer(settings.serializer)
        self._failures = FailureLog()
        self._conversions = ConversionLog()
        self._in_downloader: WeakKeyDictionary[Request, float] = WeakKeyDictionary()
        self._opened = datetime.now(timezone.utc)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self | Misconfigured:
        """Scrapy's way in; a wrong setting is told in one line, and the crawl does not start."""
        if not crawler.settings.getbool("ESTELA_ENABLED", True):
            raise NotConfigured
        if not crawler.crawling:  # `scrapy shell` opens a spider, but crawls nothing
            raise NotConfigured
        try:
            settings = ExtensionSettings.from_scrapy(crawler.settings)
            platform = open_platform(environ=settings.environ)
            project = crawler.settings.get("BOT_NAME", "")
            jobdir = crawler.settings.get("JOBDIR")
            job = identify(crawler.spidercls.name, project, settings.environ, jobdir=jobdir)
        except ConfigurationError as error:
            return Misconfigured(crawler, error)
        for library in queue_noisy_libraries:  # what an outage means, the publisher says in one line
            if logging.getLogger(library).level == logging.NOTSET:
                logging.getLogger(library).setLevel(logging.CRITICAL)
        extension = cls(crawler, settings, platform, job)
        _spare_the_collector()
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
        run = count_run(self._crawler.settings.get("JOBDIR"), self._job.jid)
        self._streams = Streams(self._publisher, settings, self._job, run)
        self._room = Room(self._crawler, lambda: self._publisher.full)
        self._connect()
        atexit.register(self._ended_by_force)
        self._streams.begin_logs(self._crawler)
        logger.info(
            "Publishing job %s to %s", self._job.jid, self._platform.describe(), extra={"spider": spider}
        )

    def _connect(self) -> None:
        connect = self._crawler.signals.connect
        connect(self.spider_closed, signals.spider_closed)
        if self._settings.items_topic:
            connect(self.item_scraped, signals.item_scraped)
        if self._settings.requests_topic:
            connect(self.request_reached_downloader, signals.request_reached_downloader)
            connect(self.response_downloaded, signals.response_downloaded)
            connect(self.request_left_downloader, signals.request_left_downloader)

    async def item_scraped(self, item: Any, response: Response | None, spider: Spider) -> None:
        """Publish the item as it is now; where there is no room, Scrapy holds the spider back.

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
        """Publish a record of the request, where no answer came."""
        if request in self._in_downloader:
            self._publish_request(request, None)

    async def spider_closed(self, spider: Spider, reason: str) -> None:
        """Tell how it went, wait for the queue as long as the settings say, and account for everything."""
        timeout = self._settings.close_timeout
        self._failures.sum_up(spider)
        self._streams.end(self._crawler, reason, self._opened)
        await self._wait_for_the_queue(timeout)
        left = await run_in_thread(self._publisher.close)
        atexit.unregister(self._ended_by_force)
        gc.unfreeze()
        account(self._crawler.stats, self._publisher, self._streams, left)
        self._crawler.stats.set_value("estela/items/converted", self._conversions.items)
        self._crawler.stats.set_value("estela/pauses", self._room.pauses)
        self._say_what_is_left(left, f"the queue did not take them within ESTELA_CLOSE_TIMEOUT = {timeout} s")

    async def _wait_for_the_queue(self, timeout: float) -> None:
        deadline = monotonic() + timeout
        while (left := deadline - monotonic()) > 0:
            if await run_in_thread(self._publisher.wait, min(_STEP, left)):
                return

    def _ended_by_force(self) -> None:
        """A second signal has stopped the reactor: no spider_closed comes, or it will never be through."""
        self._failures.sum_up(self._crawler.spider)
        self._say_what_is_left(self._publisher.close(), "the crawl was ended by force")

    def _say_what_is_left(self, left: Left, why: str) -> None:
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


def _spare_the_collector() -> None:
    """Have Python's cycle collector look past what is loaded by now, until the spider is closed.

    It stops every thread, the reactor's too. What Scrapy and its libraries are made of is most of what it
    looks through, 50 ms at a time, and messages on their way make it look more often.
    """
    gc.collect()
    gc.freeze()


class Misconfigured:
    """Stands in for the extension where a setting is wrong: a crawl that publishes nothing must not run."""

    def __init__(self, crawler: Crawler, error: ConfigurationError) -> None:
        self._error = error
        crawler.signals.connect(self.spider_opened, signals.spider_opened)

    def spider_opened(self, spider: Spider) -> None:
        """Refuse the crawl."""
        logger.error("The crawl does not start: %s", self._error, extra={"spider": spider})
        raise CloseSpider("estela_misconfigured")
