"""The spider of the crawls, and a plain extension to compare with; Scrapy runs this file by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import scrapy
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.http import Response
from typing_extensions import Self

from estela_queue_adapter import get_producer_interface

_PAUSE = 1.0  # seconds between two items of a trickle


class Shop(scrapy.Spider):
    """Yields `items` items from one page: as fast as Scrapy takes them, or one a second."""

    name = "shop"

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """One page, which needs no server."""
        yield scrapy.Request("data:,page", callback=self.trickle if self.pace == "trickle" else self.parse)

    def __init__(self, *, pace: str, items: str, report: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.pace, self.items, self.report = pace, int(items), report
        self.began = 0.0

    def parse(self, response: Response, **_: Any) -> Iterator[dict[str, Any]]:
        """All at once."""
        self.began = time.monotonic()
        return map(item, range(self.items))

    async def trickle(self, response: Response) -> AsyncIterator[dict[str, Any]]:
        """One a second, each with the time of its scraping."""
        for number in range(self.items):
            await asyncio.sleep(_PAUSE)
            yield {"number": number, "scraped": time.time()}

    def closed(self, reason: str) -> None:
        """Note how long all the items took to be scraped, whatever still happens to them elsewhere."""
        seconds = time.monotonic() - self.began
        Path(self.report).write_text(json.dumps({"reason": reason, "rate": self.items / seconds}))


class Nothing:
    """An extension with a handler that does nothing."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way in."""
        extension = cls()
        crawler.signals.connect(extension.item_scraped, signals.item_scraped)
        return extension

    async def item_scraped(self) -> None:
        """Nothing."""


class PlainSend:
    """What one would write first: a send in the handler."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._producer = get_producer_interface()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way in."""
        extension = cls(str(crawler.settings["ESTELA_ITEMS_TOPIC"]))
        crawler.signals.connect(extension.item_scraped, signals.item_scraped)
        crawler.signals.connect(extension.spider_closed, signals.spider_closed)
        return extension

    def item_scraped(self, item: dict[str, Any]) -> None:
        """Send it."""
        self._producer.send(self._topic, {"jid": "0.shop.estela_bench", "payload": item, "unique": "False"})

    def spider_closed(self) -> None:
        """Wait until all is acknowledged."""
        self._producer.close()


def item(number: int) -> dict[str, Any]:
    """A product of about 480 bytes as a message."""
    return {
        "sku": number,
        "name": f"Product {number}",
        "price": number % 1000 / 10,
        "currency": "EUR",
        "in_stock": number % 3 > 0,
        "url": f"https://shop.example/products/{number}",
        "tags": ["new", "sale", number % 7],
        "details": {"brand": f"Brand {number % 50}", "weight": number % 900, "text": "x" * 120},
    }
