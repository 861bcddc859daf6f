"""The extension."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, NotConfigured
from scrapy.http import Response
from scrapy.utils.asyncio import call_later, run_in_thread
from scrapy.utils.defer import maybe_deferred_to_future
from twisted.internet.defer import Deferred
from typing_extensions import Self

from estela_queue_adapter import Platform, open_platform, queue_noisy_libraries
from estela_queue_adapter.errors import ConfigurationError, SerializationError
from estela_scrapy.envelopes import Envelope, ItemSerializer, request_payload
from estela_scrapy.identity import Job, identify
from estela_scrapy.publisher import Publisher
from estela_scrapy.settings import ExtensionSettings

_LOOK_FOR_ROOM = 0.05  # seconds

logger = logging.getLogger(__name__)


class QueueExtension:
    """Publishes every item, and a record of every request, to the queue."""

    def __init__(self, crawler: Crawler, settings: ExtensionSettings, platform: Platform, job: Job) -> None:
        self._crawler = crawler
        self._settings = settings
        self._platform = platform
        self._job = job
        self._items = Envelope(
            job.items_jid or job.jid, unique=settings.unique, names=settings.names(job, settings.items_topic)
        )
        self._requests = Envelope(job.jid, unique=False, names=settings.names(job, settings.requests_topic))
        self._serializer = ItemSerializer()
        self._publisher: Publisher | None = None
        self._in_downloader: WeakKeyDictionary[Request, float] = WeakKeyDictionary()
        self._waiting_for_room: list[Deferred[None]] = []
        self._unserializable = 0

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
            job = identify(crawler.spidercls.name, project, settings.environ)
        except ConfigurationError as error:
            return Misconfigured(crawler, error)
        for library in queue_noisy_libraries:  # what an outage means, the publisher says in one line
            if logging.getLogger(library).level == logging.NOTSET:
                logging.getLogger(library).setLevel(logging.CRITICAL)
        extension = cls(crawler, settings, platform, job)
        extension.connect()
        return extension

    def connect(self) -> None:
        """Connect the handlers to their signals."""
        connect = self._crawler.signals.connect
        connect(self.spider_opened, signals.spider_opened)
        connect(self.spider_closed, signals.spider_closed)
        if self._settings.items_topic:
            connect(self.item_scraped, signals.item_scraped)
        if self._settings.requests_topic:
            connect(self.request_reached_downloader, signals.request_reached_downloader)
            connect(self.response_downloaded, signals.response_downloaded)
            connect(self.request_left_downloader, signals.request_left_downloader)

    def spider_opened(self, spider: Spider) -> None:
        """Begin to publish."""
        self._publisher = Publisher(self._platform.producer, self._settings.buffer_bytes)
        logger.info(
            "Publishing job %s to %s", self._job.jid, self._platform.describe(), extra={"spider": spider}
        )

    async def item_scraped(self, item: Any, spider: Spider) -> None:
        """Publish the item as it is now; where there is no room, Scrapy holds the spider back."""
        try:
            payload = self._serializer.serialize(item)
        except SerializationError as error:
            self._unserializable += 1
            logger.error("Not published: %s", error, extra={"spider": spider})
            return
        self._put("items", self._settings.items_topic, self._items.around(payload))
        if self._waiting_for_room:
            await self._room()

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

    async def spider_closed(self, spider: Spider) -> None:
        """Wait for the queue, for as long as the settings say, and account for everything."""
        if self._publisher is None:
            return
        left = await run_in_thread(self._publisher.close, self._settings.close_timeout)
        if left:
            logger.error(
                "%d messages are lost: %s did not take them within ESTELA_CLOSE_TIMEOUT = %s s.",
                left,
                self._platform.describe(),
                self._settings.close_timeout,
                extra={"spider": spider},
            )
        self._account(self._publisher, left)

    def _publish_request(self, request: Request, response: Response | None) -> None:
        began = self._in_downloader.pop(request, None)
        duration = 0.0 if began is None else monotonic() - began
        fingerprint = self._crawler.request_fingerprinter.fingerprint(request)
        payload = request_payload(request, response, duration, fingerprint, datetime.now(timezone.utc))
        self._put("requests", self._settings.requests_topic, self._requests.around(payload))

    def _put(self, stream: str, topic: str, data: bytes) -> None:
        assert self._publisher is not None  # no signal comes before spider_opened
        self._publisher.put(stream, topic, data)
        if self._publisher.full and not self._waiting_for_room:
            self._hold_back()

    def _hold_back(self) -> None:
        """Pause the engine, since requests cannot wait as items can, and look for room from time to time."""
        logger.info("No room for more messages: the crawl waits for the queue.")
        self._crawler.engine.pause()
        self._waiting_for_room.append(Deferred())
        call_later(_LOOK_FOR_ROOM, self._look_for_room)

    async def _room(self) -> None:
        waiter: Deferred[None] = Deferred()
        self._waiting_for_room.append(waiter)
        await maybe_deferred_to_future(waiter)

    def _look_for_room(self) -> None:
        assert self._publisher is not None
        if self._publisher.full and not self._ending():
            call_later(_LOOK_FOR_ROOM, self._look_for_room)
            return
        self._crawler.engine.unpause()
        waiters, self._waiting_for_room = self._waiting_for_room, []
        for waiter in waiters:
            waiter.callback(None)

    def _ending(self) -> bool:
        """Whether the spider is being closed: then nothing waits any more, the end has its own limit."""
        slot = getattr(self._crawler.engine, "_slot", None)
        return slot is None or slot.closing is not None

    def _account(self, publisher: Publisher, left: int) -> None:
        stats = self._crawler.stats
        for stream in ("items", "requests"):
            stats.set_value(f"estela/{stream}/published", publisher.published[stream])
            stats.set_value(f"estela/{stream}/bytes", publisher.bytes[stream])
            stats.set_value(f"estela/{stream}/failed", publisher.failed[stream])
        stats.inc_value("estela/items/failed", self._unserializable)
        stats.set_value("estela/lost", left)


class Misconfigured:
    """Stands in for the extension where a setting is wrong: a crawl that publishes nothing must not run."""

    def __init__(self, crawler: Crawler, error: ConfigurationError) -> None:
        self._error = error
        crawler.signals.connect(self.spider_opened, signals.spider_opened)

    def spider_opened(self, spider: Spider) -> None:
        """Refuse the crawl."""
        logger.error("The crawl does not start: %s", self._error, extra={"spider": spider})
        raise CloseSpider("estela_misconfigured")
