"""What a job tells of itself at its end: all stats, the last lines, and the record whatever happens."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import scrapy

from devservers.ports import wait_until
from tests.consumer.commands import run
from tests.scrapy_side.crawls import SPIDER, crawl, payloads, published
from tests.scrapy_side.paced_crawl import PacedCrawl
from tests.scrapy_side.reactors import EACH

pytestmark = pytest.mark.processes

EVERYTHING: dict[str, Any] = {
    "ESTELA_STATS_TOPIC": "stats",
    "ESTELA_LOGS_TOPIC": "lines",
    "LOG_LEVEL": "INFO",
}

# A component that is late: it waits for something when the spider closes, as an upload of a feed does.
LATE = """
    from scrapy import signals
    from scrapy.exceptions import CloseSpider
    from scrapy.utils.defer import maybe_deferred_to_future
    from twisted.internet.defer import Deferred
    from estela_scrapy.compat import call_later
    import scrapy

    class Late:
        @classmethod
        def from_crawler(cls, crawler):
            late = cls()
            late.crawler = crawler
            crawler.signals.connect(late.spider_opened, signals.spider_opened)
            crawler.signals.connect(late.spider_closed, signals.spider_closed)
            return late

        def spider_opened(self):
            if self.crawler.settings["REFUSED"]:
                raise CloseSpider("late_refused")

        async def spider_closed(self, spider):
            soon = Deferred()
            call_later(0.1, lambda: soon.callback(None))
            await maybe_deferred_to_future(soon)
            self.crawler.stats.set_value("late/uploaded", True)
            self.crawler.stats.set_value(("late", 2), {3: b"x"})
            spider.logger.info("the upload is done")
            if self.crawler.settings["BROKEN"]:
                self.crawler.stats.get_stats = None
"""
EXTENSIONS = '{"spider.Late": 100, "estela_scrapy.QueueExtension": 500}'


def late_crawl(base: str, **settings: Any) -> Any:
    spider = LATE + SPIDER.replace("import scrapy\n", "\n", 1)
    return crawl(spider, "-a", base, EXTENSIONS=EXTENSIONS, **{**EVERYTHING, **settings})


@pytest.mark.parametrize("reactor", EACH)
def test_stats_and_lines_that_come_late_are_published_and_the_record_counts_them(
    workdir: Path, reactor: dict[str, Any]
) -> None:
    done = late_crawl("base=data:text/html,", LOG_FILE="scrapy.log", **reactor)

    [stats] = payloads("stats")
    assert {str(key) for key in done.stats} <= set(stats)
    assert done.stats["estela/items/published"] == stats["estela/items/published"] == 3
    assert (stats["late/uploaded"], stats["('late', 2)"]) == (True, {"3": "x"})
    assert stats["finish_time"]
    assert stats["success_rate"] == 100.0
    lines = [line["log"] for line in payloads("lines")]
    assert "started (bot: scrapybot)" in lines[0]
    assert "Dumping Scrapy stats" in lines[-2]
    assert lines[-1].endswith("Spider closed (finished)")
    heard = next(number for number, line in enumerate(lines) if "Enabled extensions" in line)
    assert "\n".join(lines[heard:]) in Path("scrapy.log").read_text()
    [record] = payloads("jobs_topic")
    counts = {stream["stream"]: (stream["published"], stream["failed"]) for stream in record["streams"]}
    assert counts == {"items": (3, 0), "requests": (1, 0), "stats": (1, 0), "logs": (len(lines), 0)}


@pytest.mark.skipif(scrapy.version_info < (2, 18), reason="no component can refuse a crawl in this way")
def test_a_crawl_that_another_component_refuses_has_its_record_and_stats_too(base: str) -> None:
    late_crawl(base, REFUSED=True)

    [record] = payloads("jobs_topic")
    [stats] = payloads("stats")
    assert record["finish_reason"] == stats["finish_reason"] == "late_refused"


def test_stats_that_cannot_be_had_cost_the_record_nothing_and_are_counted(base: str) -> None:
    done = late_crawl(base, BROKEN=True)

    [record] = payloads("jobs_topic")
    counts = {stream["stream"]: (stream["published"], stream["failed"]) for stream in record["streams"]}
    assert counts["stats"] == (0, 1)
    assert counts["items"] == (3, 0)
    assert done.log.count("are not published") == 1


def test_a_first_signal_leaves_time_for_the_last_lines_and_the_record(workdir: Path) -> None:
    slow = PacedCrawl(workdir, 200, 4, **EVERYTHING)
    wait_until(lambda: len(slow.scraped) > 5, "some items")

    slow.process.send_signal(signal.SIGTERM)
    slow.wait()

    [record] = payloads("jobs_topic")
    assert record["finish_reason"] == "shutdown"
    assert [line["log"] for line in payloads("lines")][-1].endswith("Spider closed (shutdown)")
    assert len(published("items_topic")) == record["streams"][0]["published"] > 5


def test_a_signal_that_comes_while_the_spider_closes_costs_nothing_either(base: str, workdir: Path) -> None:
    """Given a component that takes a second to close, and a signal within it."""
    slow = LATE.replace("call_later(0.1", "os.kill(os.getpid(), 15), call_later(1.0")

    crawl(
        slow.replace("import scrapy\n", "import os, scrapy\n") + SPIDER.replace("import scrapy\n", "\n", 1),
        "-a", base, EXTENSIONS=EXTENSIONS, **EVERYTHING,
    )  # fmt: skip

    [record], [stats] = payloads("jobs_topic"), payloads("stats")
    assert record["finish_reason"] == "finished"
    assert stats["late/uploaded"] is True
    assert [line["log"] for line in payloads("lines")][-1].endswith("Spider closed (finished)")


def test_a_line_longer_than_a_message_may_be_is_cut_and_the_job_is_whole(
    base: str, kafka: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a pipeline that fails, whereupon Scrapy logs the whole item."""
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", kafka)
    spider = """
    class Broken:
        def process_item(self, item, spider=None):
            raise RuntimeError("no")
""" + SPIDER.replace('yield {"n": n', 'yield {"page": "\\u00fc" * 1_000_000, "n": n')
    topics = {name: f"{unique}-{name.lower()}" for name in ("ITEMS", "REQUESTS", "JOBS", "LOGS")}

    done = crawl(
        spider, "-a", base, "-a", "items=2", ITEM_PIPELINES='{"spider.Broken": 1}', LOG_LEVEL="INFO",
        **{f"ESTELA_{name}_TOPIC": topic for name, topic in topics.items()},
    )  # fmt: skip

    lines = [line["log"] for line in payloads(topics["LOGS"])]
    assert sum("[cut: the line has 100" in line for line in lines) == 2
    assert (done.stats["estela/logs/failed"], done.stats["estela/outbox/rejected"]) == (0, 0), done.log[
        -2000:
    ]
    [record] = payloads(topics["JOBS"])
    assert record["streams"][-1]["published"] == len(lines)


def test_what_the_queue_has_not_taken_when_scrapy_dumps_its_stats_is_said_there(base: str) -> None:
    done = late_crawl(
        base, QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1", ESTELA_CLOSE_TIMEOUT=1
    )

    waiting = done.stats["estela/outbox/waiting"]
    assert waiting > 4  # three items, a request, and lines
    assert done.stats["estela/items/published"] == 0
    listed = run("estela-outbox", "list", "--json").out.splitlines()
    kept = sum(json.loads(line)["messages"] for line in listed)
    assert kept >= waiting + 4  # behind it the dump, "Spider closed", the stats and the closing record
    assert f"{kept} message(s) wait in the outbox" in done.log
