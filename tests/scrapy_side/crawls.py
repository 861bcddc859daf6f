"""Real crawls as subprocesses, and the local site that they crawl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from estela_queue_adapter import Message, open_platform
from estela_queue_adapter.errors import TopicMissing

SPIDER = """
    import scrapy

    class S(scrapy.Spider):
        name = "books.example"
        items = 3
        paths = ["/page"]

        def __init__(self, base="", **kwargs):
            super().__init__(**kwargs)
            self.base = base

        async def start(self):
            for request in self.start_requests():
                yield request

        def start_requests(self):  # this is what Scrapy below 2.13 calls
            for path in self.paths:
                yield scrapy.Request(self.base + path, dont_filter=True)

        def parse(self, response):
            for n in range(int(self.items)):
                yield {"n": n, "title": response.css("h1::text").get()}
"""
EXTENSION = '{"estela_scrapy.QueueExtension": 500}'
_TIMEOUT = 90.0  # seconds


class _Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    visits: dict[str, int]

    def do_GET(self) -> None:
        self.visits[self.path] = self.visits.get(self.path, 0) + 1
        if self.path == "/moved":
            self._answer(302, b"", Location="/page")
        elif self.path == "/flaky" and self.visits[self.path] == 1:
            self._answer(503)
        elif self.path.partition("?")[0] in ("/page", "/flaky"):
            self._answer(200, b"<html><body><h1>hello</h1></body></html>")
        else:
            self._answer(404)

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def site() -> Iterator[str]:
    """A small site with a page, a redirect, a page that is overloaded once, and nothing else."""
    handler = type("Site", (_Site,), {"visits": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@dataclass(frozen=True, slots=True)
class Crawl:
    """What a crawl left behind."""

    code: int
    log: str
    stats: dict[str, Any]


def crawl(spider: str, *arguments: str, **settings: Any) -> Crawl:
    """`scrapy runspider` of a source in which class `S` is the spider; settings as given."""
    file = Path("spider.py")
    file.write_text(textwrap.dedent(spider))
    given = {"EXTENSIONS": EXTENSION, "STATS_CLASS": "tests.scrapy_side.crawls.StatsInAFile", **settings}
    options = [part for name, value in given.items() for part in ("-s", f"{name}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", "scrapy", "runspider", str(file), *options, *arguments],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    stats = Path("stats.json")
    return Crawl(done.returncode, done.stderr, json.loads(stats.read_text()) if stats.exists() else {})


def published(topic: str) -> list[Message]:
    """Everything that is on a topic."""
    try:
        return list(open_platform().read(topic))
    except TopicMissing:
        return []


def payloads(topic: str) -> list[Any]:
    """The payloads on a topic."""
    return [message.value["payload"] for message in published(topic)]


def __getattr__(name: str) -> Any:
    """StatsInAFile, made late: importing Scrapy's stats here would choose the reactor for the tests."""
    if name != "StatsInAFile":
        raise AttributeError(name)
    from scrapy.statscollectors import MemoryStatsCollector

    class StatsInAFile(MemoryStatsCollector):
        """Writes the final stats, at the moment when Scrapy dumps them, to stats.json."""

        def close_spider(self, spider: Any = None, reason: str | None = None) -> None:
            super().close_spider(spider, reason)
            stats = {str(key): value for key, value in self._stats.items()}
            Path("stats.json").write_text(json.dumps(stats, default=str))

    return StatsInAFile
