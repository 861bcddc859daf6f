"""The extension."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timezone
from typing import Any

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.http import Response
from typing_extensions import Self

from estela_queue_adapter import Platform, open_platform, queue_noisy_libraries
from estela_queue_adapter.collector import COLLECTOR
from estela_queue_adapter.errors import ConfigurationError
from estela_scrapy.backpressure import Backpressure
from estela_scrapy.closing import CrawlEnd
from estela_scrapy.compat import module_of_start, twisted_too_new
from estela_scrapy.delivery.outbox import Outbox
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.delivery_report import DeliveryReport
from estela_scrapy.failures import ConversionLog, FailureLog, UnkeyedLog
from estela_scrapy.job.heartbeats import Heartbeats
from estela_scrapy.job.identity import Job, identify
from estela_scrapy.job.logs import MAX_LINE, JobLogHandler
from estela_scrapy.job.runs import count_run
from estela_scrapy.job.streams import Streams
from estela_scrapy.records import ItemRecords, RequestRecords
from estela_scrapy.refusal import Misconfigured
from estela_scrapy.setting_sources import is_set_by_operator
from estela_scrapy.settings import ExtensionSettings
from estela_terminal.printable import printable_logger

logger = printable_logger(__name__)


class QueueExtension:
    """Publishes every item, a record of every request, and what a job tells of itself.

    Its handlers run on the reactor's thread, and none waits for the network there. The publisher has threads
    of its own; the log handler takes lines of any thread; the end by force runs at exit (see `CrawlEnd`).
    """

    def __init__(self, crawler: Crawler, settings: ExtensionSettings, platform: Platform, job: Job) -> None:
        self._crawler = crawler
        self._settings = settings
        self._platform = platform
        self._job = job
        self._log_handler = _log_handler(crawler, settings, platform)
        self._opened = datetime.now(timezone.utc)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self | Misconfigured:
        """Scrapy's way in. A wrong setting is logged in one line, and the crawl does not start."""
        if advice := twisted_too_new():
            logger.error("%s", advice)
        try:
            if not _is_wanted(crawler):
                raise NotConfigured
            settings = ExtensionSettings.from_scrapy(crawler.settings)
            job = _identify(crawler, settings)
            settings.targets(job).check()
            platform = open_platform(environ=settings.environ)
            platform.check()
            Outbox.check(settings.outbox_path)
        except ConfigurationError as error:
            return Misconfigured(crawler, error)
        for library in queue_noisy_libraries:  # the publisher logs an outage in one line
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
        settings, jid = self._settings, self._job.jid
        publisher = self._start_publisher()
        run = count_run(self._crawler.settings.get("JOBDIR"), jid)
        streams = Streams(publisher, settings, self._job, run)
        self._build(publisher, streams)
        self._connect()
        COLLECTOR.spare()
        if self._log_handler is not None:
            streams.begin_logs(self._log_handler)
        self._heartbeats.start()
        logger.info("Publishing job %s to %s", jid, self._platform.describe(), extra={"spider": spider})

    def _start_publisher(self) -> Publisher:
        settings = self._settings
        publisher = Publisher(
            self._platform.producer,
            Outbox(settings.outbox_path, settings.outbox_max_bytes),
            buffer_bytes=settings.buffer_bytes,
            mode=settings.outbox,
            interval=settings.outbox_interval,
        )
        publisher.start()
        return publisher

    def _build(self, publisher: Publisher, streams: Streams) -> None:
        """Make what the handlers call."""
        crawler, settings = self._crawler, self._settings
        failures, conversions, unkeyed = FailureLog(), ConversionLog(), UnkeyedLog()
        self._backpressure = Backpressure(crawler, lambda: publisher.full)
        self._items = ItemRecords(
            streams.items, settings.serializer, failures, conversions, unkeyed, settings.types
        )
        self._requests = RequestRecords(streams.requests, crawler, failures)
        report = DeliveryReport(
            crawler, publisher, streams, conversions, unkeyed, self._backpressure, settings.outbox_path
        )
        self._heartbeats = Heartbeats(crawler, streams, self._opened, settings.heartbeat)
        self._end = CrawlEnd(
            crawler, publisher, streams, failures, report, self._opened, settings.close_timeout
        )

    def _connect(self) -> None:
        connect = self._crawler.signals.connect
        connect(self.spider_closed, signals.spider_closed)
        connect(self.engine_stopped, signals.engine_stopped)
        if self._settings.items_topic or self._settings.routes:
            connect(self.item_scraped, signals.item_scraped)
        if self._settings.requests_topic:
            connect(self.request_reached_downloader, signals.request_reached_downloader)
            connect(self.response_downloaded, signals.response_downloaded)
            connect(self.request_left_downloader, signals.request_left_downloader)

    async def item_scraped(self, item: Any, response: Response | None, spider: Spider) -> None:
        """Publish the item; while the buffer is full, Scrapy holds the spider back."""
        self._items.publish(item, response, spider)
        if not self._backpressure.check():
            await self._backpressure.wait()

    def request_reached_downloader(self, request: Request) -> None:
        """Note when a request went out."""
        self._requests.sent(request)

    def response_downloaded(self, response: Response, request: Request) -> None:
        """Publish a record of the request that was answered."""
        self._requests.answered(request, response)
        self._backpressure.check()

    def request_left_downloader(self, request: Request) -> None:
        """Publish a record of the request, if no answer came."""
        self._requests.ended(request)
        self._backpressure.check()

    async def spider_closed(self, reason: str) -> None:
        """Wait for the queue, and have Scrapy's last stats say how it went."""
        self._heartbeats.stop()
        await self._end.spider_closed(reason)

    async def engine_stopped(self) -> None:
        """Publish the last stats, log lines and the closing record, and report what became of all."""
        await self._end.engine_stopped()


def _is_wanted(crawler: Crawler) -> bool:
    """Whether this crawl is to be published.

    `scrapy shell` opens a spider, but crawls nothing. `scrapy check`, `bench`, `fetch` and `parse` crawl with
    a `start` of their own, to show something: they publish only if the command line or the environment says
    so.
    """
    if not ExtensionSettings.is_enabled(crawler.settings) or not crawler.crawling:
        return False
    of_a_command = module_of_start(crawler).startswith("scrapy.commands.")
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
    handler.replay_start(crawler.settings)
    handler.listen()
    return handler
