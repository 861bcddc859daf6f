"""Holding the crawl back, beside others who do the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

# A component that keeps to hours pauses the engine at the tenth item, while the buffer is full every moment.
_PROGRAM = """
import scrapy
from scrapy import signals
from scrapy.crawler import CrawlerProcess
from estela_scrapy.compat import call_later
class Hours:
    @classmethod
    def from_crawler(cls, crawler):
        hours = cls(); hours.crawler = crawler; hours.items = 0
        crawler.signals.connect(hours.item_scraped, signals.item_scraped)
        return hours
    def item_scraped(self):
        self.items += 1
        if self.items == 10:
            self.crawler.engine.pause()
            call_later(0.5, self.look)
    def look(self):
        self.seen = self.items
        call_later(0.5, self.open)
    def open(self):
        print("paused", self.crawler.engine.paused, "still", self.items == self.seen < 90)
        self.crawler.engine.unpause()
class S(scrapy.Spider):
    name = "s"; start_urls = [f"data:,{n}" for n in range(100)]
    custom_settings = {"CONCURRENT_REQUESTS": 2}
    def parse(self, response): yield {"pad": "x" * 4000}
settings = {"EXTENSIONS": {"estela_scrapy.QueueExtension": 500, Hours: 1}, "LOG_ENABLED": False}
process = CrawlerProcess({**settings, "ESTELA_BUFFER_BYTES": 9000})
crawler = process.create_crawler(S)
process.crawl(crawler)
process.start()
stats = crawler.stats.get_stats()
print(stats["item_scraped_count"], stats["estela/items/published"], stats["estela/pauses"] > 3)
"""


def test_a_pause_that_somebody_else_asked_for_is_ended_by_nobody_else(workdir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout.splitlines() == ["paused True still True", "100 100 True"], done.stderr
