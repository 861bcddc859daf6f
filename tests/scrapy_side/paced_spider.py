"""A spider that brings so many items in so many seconds, and says how long the reactor stood still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import scrapy
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.http import Response
from typing_extensions import Self

from estela_scrapy.compat import call_later

_TICK = 0.005  # seconds


class PacedSpider(scrapy.Spider):
    """Its items are numbered; each is noted, with the time, in the file `record` once it is scraped."""

    name = "paced"

    def __init__(self, items: str, seconds: str, record: str, first: str = "0", **kwargs: Any) -> None:
        super().__init__(start_urls=["data:,hello"], **kwargs)
        self._numbers = range(int(first), int(first) + int(items))
        self._seconds = float(seconds)
        self._record = Path(record)
        self._ticked = 0.0
        self._longest = 0.0

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.spider_opened, signals.spider_opened)
        crawler.signals.connect(spider.item_scraped, signals.item_scraped)
        return spider

    def spider_opened(self) -> None:
        self._ticked = time.monotonic()
        call_later(_TICK, self._tick)

    def item_scraped(self, item: Any) -> None:
        with self._record.open("a") as record:
            record.write(f"{item['n']} {time.time()}\n")

    async def parse(self, response: Response) -> AsyncIterator[dict[str, Any]]:
        began = time.monotonic()
        for count, number in enumerate(self._numbers):
            early = began + self._seconds * count / len(self._numbers) - time.monotonic()
            if early > _TICK:
                await asyncio.sleep(early)
            yield {"n": number, "text": "x" * 200}

    def _tick(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._ticked - _TICK)
        self._ticked = now
        call_later(_TICK, self._tick)
        assert self.crawler.stats is not None
        self.crawler.stats.set_value("paced/longest_pause", self._longest)
