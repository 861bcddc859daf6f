"""The extension in real crawls."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.scrapy_side.crawls import SPIDER, crawl, payloads, published

pytestmark = pytest.mark.processes


def test_one_line_of_settings_publishes_items_and_requests(base: str) -> None:
    done = crawl(SPIDER, "-a", base)

    assert done.code == 0, done.log
    assert payloads("items_topic") == [{"n": n, "title": "hello"} for n in range(3)]
    [request] = payloads("requests_topic")
    assert (request["status"], request["method"], request["response_size"]) == (200, "GET", 40)
    assert request["url"].endswith("/page")
    jid = published("items_topic")[0].value["jid"].split(".")
    assert jid[1:] == ["books_example", "scrapybot"]


def test_the_stats_account_for_everything_before_scrapy_dumps_them(base: str) -> None:
    done = crawl(SPIDER, "-a", base, "-a", "items=500")

    size = sum(len(message.data or b"") for message in published("items_topic"))
    assert done.stats["estela/items/published"] == 500
    assert done.stats["estela/items/bytes"] == size
    assert done.stats["estela/items/failed"] == 0
    assert done.stats["estela/lost"] == 0
    assert "'estela/items/published': 500" in done.log


def test_a_spider_that_crashes_and_one_that_is_closed_early_lose_nothing(base: str) -> None:
    crashing = SPIDER.replace(
        "def parse(self, response):",
        'def parse(self, response):\n            yield {"n": -1}\n            1 / 0',
    )
    crawl(crashing, "-a", base)
    done = crawl(SPIDER, "-a", base, "-a", "items=1000", CLOSESPIDER_ITEMCOUNT=10)

    assert done.stats["finish_reason"] == "closespider_itemcount"
    assert len(published("items_topic")) == 1 + done.stats["item_scraped_count"]


def test_a_crawl_that_is_paused_goes_on_as_the_same_job(base: str) -> None:
    nine_pages = SPIDER.replace('["/page"]', '[f"/page?{n}" for n in range(9)]')
    nine_pages = nine_pages.replace(", dont_filter=True", "")
    settings = {"JOBDIR": "paused", "CONCURRENT_REQUESTS": 1}
    first = crawl(nine_pages, "-a", base, "-a", "items=1", CLOSESPIDER_ITEMCOUNT=2, **settings)
    second = crawl(nine_pages, "-a", base, "-a", "items=1", **settings)

    items = published("items_topic")
    assert first.stats["finish_reason"] == "closespider_itemcount"
    assert second.stats["item_scraped_count"] == 9 - first.stats["item_scraped_count"]
    assert len(items) == 9
    assert len({message.value["jid"] for message in items}) == 1
    assert len({message.value["id"] for message in items}) == 9


def test_the_extension_can_be_switched_off(base: str, workdir: Path) -> None:
    done = crawl(SPIDER, "-a", base, ESTELA_ENABLED=False)

    assert done.stats["item_scraped_count"] == 3
    assert not (workdir / ".estela").exists()


def test_scrapys_settings_win_over_the_environment(
    base: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")

    crawl(SPIDER, "-a", base, QUEUE_PLATFORM="embedded", QUEUE_PLATFORM_PATH="here.db")

    monkeypatch.setenv("QUEUE_PLATFORM", "embedded")
    monkeypatch.setenv("QUEUE_PLATFORM_PATH", str(workdir / "here.db"))
    assert len(published("items_topic")) == 3


def test_two_spiders_in_one_process_have_a_publisher_each(base: str) -> None:
    program = f"""
import spider, scrapy
from scrapy.crawler import CrawlerProcess
class Other(spider.S):
    name = "other"
process = CrawlerProcess({{"EXTENSIONS": {{"estela_scrapy.QueueExtension": 500}}}})
for cls, items in ((spider.S, 30), (Other, 20)):
    process.crawl(cls, {base!r}.removeprefix("base="), items=items)
process.start()
"""
    crawl(SPIDER, "-a", base, ESTELA_ENABLED=False)  # leaves spider.py

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)

    spiders = Counter(message.value["jid"].split(".")[1] for message in published("items_topic"))
    assert spiders == {"books_example": 30, "other": 20}


def test_a_buffer_that_is_full_holds_the_spider_back_and_loses_nothing(base: str) -> None:
    spider = SPIDER.replace('["/page"]', '["/page"] * 5')

    done = crawl(spider, "-a", base, "-a", "items=400", ESTELA_BUFFER_BYTES=2000)

    assert "Crawl paused" in done.log
    assert len(published("items_topic")) == 2000
    assert done.stats["estela/lost"] == 0


def test_a_queue_that_is_never_there_is_told_in_one_line(base: str) -> None:
    done = crawl(
        SPIDER, "-a", base, QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1",
        ESTELA_CLOSE_TIMEOUT=7,
    )  # fmt: skip

    assert done.code == 0
    assert (done.stats["estela/outbox/waiting"], done.stats["estela/lost"]) == (4, 0)
    assert "5 message(s) wait in the outbox" in done.log  # and the closing record
    [line] = [line for line in done.log.splitlines() if "Queue unavailable" in line]
    assert "127.0.0.1:1" in line
    assert "[kafka" not in done.log  # the client's own lines, hundreds of them


def test_a_full_buffer_and_no_queue_do_not_keep_a_spider_from_being_closed(base: str) -> None:
    done = crawl(
        SPIDER, "-a", base, "-a", "items=300", QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1",
        ESTELA_CLOSE_TIMEOUT=1, ESTELA_OUTBOX_MAX_BYTES=2000, CLOSESPIDER_TIMEOUT=2,
    )  # fmt: skip

    assert done.stats["finish_reason"] == "closespider_timeout"
    assert done.stats["estela/outbox/waiting"] >= done.stats["item_scraped_count"] > 0
    assert done.stats["estela/lost"] == 0


def test_a_crawl_publishes_to_real_kafka(
    base: str, kafka: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", kafka)

    done = crawl(SPIDER, "-a", base, "-a", "items=200", ESTELA_ITEMS_TOPIC=unique, ESTELA_REQUESTS_TOPIC="")

    assert done.stats["estela/items/published"] == 200, done.log
    assert sorted(payload["n"] for payload in payloads(unique)) == list(range(200))
