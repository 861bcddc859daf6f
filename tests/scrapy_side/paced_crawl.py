"""A crawl that runs while something happens to its queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.scrapy_side.reactors import ASYNCIO

_SPIDER = Path(__file__).parent / "paced_spider.py"


class PacedCrawl:
    """`scrapy runspider` of the paced spider, in a folder of its own; publishes items alone."""

    def __init__(
        self,
        folder: Path,
        items: int,
        seconds: float,
        *,
        first: int = 0,
        environ: Mapping[str, str] = os.environ,
        **settings: Any,
    ) -> None:
        self._folder = folder
        given = {
            "EXTENSIONS": '{"estela_scrapy.QueueExtension": 500}',
            "STATS_CLASS": "tests.scrapy_side.crawls.StatsInAFile",
            "ESTELA_REQUESTS_TOPIC": "",
            "LOG_LEVEL": "INFO",
            **ASYNCIO,
            **settings,
        }
        options = [part for name, value in given.items() for part in ("-s", f"{name}={value}")]
        told = {"items": items, "seconds": seconds, "first": first, "record": "record"}
        arguments = [part for name, value in told.items() for part in ("-a", f"{name}={value}")]
        (folder / "stats.json").unlink(missing_ok=True)
        with (folder / "crawl.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scrapy", "runspider", str(_SPIDER), *arguments, *options],
                stderr=log,
                cwd=folder,
                env={**environ, "PYTHONPATH": str(_SPIDER.parent.parent.parent)},
            )

    @property
    def log(self) -> str:
        """What has been logged in this folder so far."""
        return (self._folder / "crawl.log").read_text()

    @property
    def scraped(self) -> dict[int, float]:
        """The items that were scraped in this folder so far, and when."""
        record = self._folder / "record"
        lines = record.read_text().split("\n")[:-1] if record.exists() else []
        return {int(number): float(at) for number, _, at in (line.partition(" ") for line in lines)}

    @property
    def last(self) -> int:
        """The item that was scraped last, read from the end of the record; -1 where there was none."""
        try:
            with (self._folder / "record").open("rb") as record:
                record.seek(-min(100, record.seek(0, os.SEEK_END)), os.SEEK_END)
                lines = record.read().split(b"\n")
        except FileNotFoundError:
            return -1
        return int(lines[-2].partition(b" ")[0]) if len(lines) > 1 else -1

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def wait(self, timeout: float = 90) -> dict[str, Any]:
        """Return its stats when it has ended by itself."""
        try:
            self.process.wait(timeout)
        finally:
            self.kill()
        stats: dict[str, Any] = json.loads((self._folder / "stats.json").read_text())
        return stats
