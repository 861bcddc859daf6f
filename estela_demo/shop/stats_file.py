"""An extension that leaves the crawl's stats in a file, for whoever wants to compare."""

from __future__ import annotations

import json
from pathlib import Path

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from typing_extensions import Self


class StatsFile:
    """Writes the stats as JSON to the file that STATS_FILE names, when the spider is closed."""

    def __init__(self, crawler: Crawler, path: Path) -> None:
        self._crawler = crawler
        self._path = path

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Scrapy's way in."""
        path = crawler.settings.get("STATS_FILE")
        if not path:
            raise NotConfigured
        extension = cls(crawler, Path(path))
        crawler.signals.connect(extension.spider_closed, signals.spider_closed)
        return extension

    def spider_closed(self) -> None:
        """Write the file."""
        self._path.write_text(json.dumps(self._crawler.stats.get_stats(), default=str, indent=2))
