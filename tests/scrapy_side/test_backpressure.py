"""Holding the crawl back, beside others who do the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scrapy_side.reactors import EACH, NONE

pytestmark = pytest.mark.processes

# A component that keeps to hours pauses the engine at the tenth item, while the buffer is full every moment.
_PROGRAM = """
import json, sys, scrapy
from scrapy import signals
from scrapy import crawler as crawlers
from estela_scrapy.compat import call_later
class Hours:
    @classmethod
    def from_crawler(cls, crawler):
        hours = cls(); hours.crawler = crawler; hours.items = hours.seen = 0
        crawler.signals.connect(hours.item_scraped, signals.item_scraped)
        return hours
    def item_scraped(self):
        self.items += 1
        if self.items == 10:
            self.crawler.engine.pause()
            call_later(0.5, self.look)
    def look(self):
        if self.items != self.seen:  # what was on its way, however long it takes
            self.seen = self.items
            call_later(0.5, self.look)
            return
        print("paused", self.crawler.engine.paused, "still", self.items < 35)
        self.crawler.engine.unpause()
class S(scrapy.Spider):
    name = "s"; start_urls = [f"data:,{n}" for n in range(40)]
    # With a delay pages come one by one: some reactors fetch all of these at once, before the first item.
    custom_settings = {"CONCURRENT_REQUESTS": 2, "DOWNLOAD_DELAY": 0.005}
    def parse(self, response): yield {"pad": "x" * 4000}
settings = {"EXTENSIONS": {"estela_scrapy.QueueExtension": 500, Hours: 1}, "LOG_ENABLED": False}
kind, reactor = sys.argv[1], json.loads(sys.argv[2])
process = getattr(crawlers, kind)({**settings, "ESTELA_BUFFER_BYTES": 3000, **reactor})
crawler = process.create_crawler(S)
process.crawl(crawler)
process.start()
stats = crawler.stats.get_stats()
print(stats["item_scraped_count"], stats["estela/items/published"], stats["estela/pauses"] > 3)
"""


@pytest.mark.parametrize("reactor", EACH)
def test_a_pause_that_somebody_else_asked_for_is_ended_by_nobody_else(
    workdir: Path, reactor: dict[str, Any]
) -> None:
    kind = "AsyncCrawlerProcess" if reactor is NONE else "CrawlerProcess"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, kind, json.dumps(reactor)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stdout.splitlines() == ["paused True still True", "40 40 True"], done.stderr
