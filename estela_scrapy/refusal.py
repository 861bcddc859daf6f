"""A crawl that must not run."""

from __future__ import annotations

from scrapy import Spider, signals
from scrapy.crawler import Crawler
from scrapy.signalmanager import SignalManager

from estela_queue_adapter.errors import ConfigurationError
from estela_scrapy.compat import refuse
from estela_terminal.printable import printable_logger

REASON = "estela_misconfigured"

logger = printable_logger(__name__)


class Misconfigured:
    """Stands in for the extension if a setting is wrong: a crawl that publishes nothing must not run.

    The spider is closed before its first request, in one line. Scrapy takes a crawl that has no spider at
    its end for one that did not start: `scrapy crawl` exits with 1, and `CrawlerProcess.bootstrap_failed` is
    True. Pipelines and the feeds are not opened, which would empty what an earlier crawl has brought.
    """

    def __init__(self, crawler: Crawler, error: ConfigurationError) -> None:
        self._crawler = crawler
        self._error = error
        crawler.settings.set("ITEM_PIPELINES", {}, priority="cmdline")
        # Nothing is downloaded, and what is not opened need not be closed: not all of it would be.
        crawler.settings.set("DOWNLOAD_HANDLERS", {"http": None, "https": None}, priority="cmdline")
        # Whoever has connected already, as the feeds have, gets no more signals.
        crawler.signals = SignalManager(self)
        crawler.signals.connect(self.spider_opened, signals.spider_opened)

    def spider_opened(self, spider: Spider) -> None:
        """Refuse the crawl."""
        logger.error("The crawl does not start: %s", self._error, extra={"spider": spider})
        # Connected last, so that other components' handlers still find the spider.
        self._crawler.signals.connect(self.spider_closed, signals.spider_closed)
        refuse(self._crawler, REASON)

    def spider_closed(self) -> None:
        """Have Scrapy count it as failed."""
        self._crawler.stats.set_value("finish_reason", REASON)
        self._crawler.spider = None
