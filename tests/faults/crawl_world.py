"""A world whose messages come from a crawl, not from a feeder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from typing import Any

from devservers.kafka import KafkaBroker
from devservers.ports import wait_until
from tests.consumer.commands import run
from tests.faults.bad_messages import Bad
from tests.faults.outcome import Outcome
from tests.faults.world import World
from tests.scrapy_side.paced_crawl import PacedCrawl

_LAST_BURST = 1.0  # seconds before a kill in which what was scraped may be lost; see docs/reliability.md
_END = 120.0  # seconds for a crawl to end after its last item


class CrawlWorld(World):
    """Its faults start crawls, break the queue under them, and see to it that the outbox is emptied."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._crawls = self.folder / "crawls"
        self._crawls.mkdir()
        self._promised: set[int] = set()
        self._started: list[PacedCrawl] = []
        self._first = 0
        self._killed = False
        self._pause = 0.0

    @property
    def broker(self) -> KafkaBroker:
        """The only one."""
        [broker] = self.servers.kafka.brokers
        return broker

    def start_crawl(self, seconds: float, share: float = 1.0, **settings: Any) -> PacedCrawl:
        """A crawl of so many of the row's items, in so many seconds of the whole suite's."""
        self._items, self._seconds = round(self.messages * share), self.seconds(seconds)
        topics = {"ESTELA_ITEMS_TOPIC": self.topic, "ESTELA_JOBS_TOPIC": f"{self.topic}_jobs"}
        crawl = PacedCrawl(
            self._crawls,
            self._items,
            self._seconds,
            first=self._first,
            environ={**self.environ, "ESTELA_SPIDER_JOB": f"1.s.{self.topic}"},
            **{**topics, **settings},
        )
        self._started.append(crawl)
        return crawl

    def scraped(self, crawl: PacedCrawl, share: float) -> None:
        """Return when so much of the crawl is done."""
        upto = self._first + int(share * self._items)
        wait_until(lambda: crawl.last >= upto, "the crawl", self._seconds + _END)

    def finish(self, crawl: PacedCrawl) -> None:
        """Return when the crawl has ended by itself."""
        stats = crawl.wait(self._seconds + _END)
        self._promised.update(range(self._first, self._first + self._items))
        self._first += self._items
        self._pause = max(self._pause, stats["paced/longest_pause"])

    def kill(self, crawl: PacedCrawl) -> None:
        """Kill it; what was scraped a moment before is promised all the same."""
        crawl.kill()
        before, self._killed = time.time() - _LAST_BURST, True
        self._promised.update(
            number for number, at in crawl.scraped.items() if number >= self._first and at < before
        )
        self._first = crawl.last + 1

    def send_outbox(self) -> None:
        """`estela-outbox send`, until nothing is left."""
        path = self._crawls / ".estela" / "outbox.db"
        if path.exists():
            done = run("estela-outbox", "--path", str(path), "send", **self.environ)
            if done.code != 0:
                raise AssertionError(f"estela-outbox send: {done.code}: {done.out}{done.err}")

    def abandon(self) -> None:
        super().abandon()
        for crawl in self._started:
            crawl.kill()
        self.broker.thaw()
        if not self.broker.running:
            self.broker.start()

    @contextlib.contextmanager
    def feeding(self, seconds: float, bad: Collection[Bad], bad_share: float) -> Iterator[None]:
        yield

    def promised(self) -> Collection[int]:
        return self._promised

    def balance(self, recovered: float) -> Outcome:
        if not self._killed:
            done = run(
                "estela-verify", f"1.s.{self.topic}", "--jobs-topic", f"{self.topic}_jobs", **self.environ
            )
            if done.code != 0:
                raise AssertionError(f"estela-verify: {done.code}: {done.out}{done.err}")
        return super().balance(recovered)

    def reactor_pause(self) -> float | None:
        return None if self._killed else round(1000 * self._pause, 1)
