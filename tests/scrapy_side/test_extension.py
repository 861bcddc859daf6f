"""The extension in real crawls."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scrapy_side.crawls import crawl, payloads, published, site

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
            for path in self.paths:
                yield scrapy.Request(self.base + path, dont_filter=True)

        def parse(self, response):
            for n in range(int(self.items)):
                yield {"n": n, "title": response.css("h1::text").get()}
"""


@pytest.fixture
def base(workdir: Path) -> Iterator[str]:
    with site() as url:
        yield f"base={url}"


def test_one_line_of_settings_publishes_items_and_requests(base: str) -> None:
    done = crawl(SPIDER, "-a", base)

    assert done.code == 0, done.log
    assert payloads("items_topic") == [{"n": n, "title": "hello"} for n in range(3)]
    [request] = payloads("requests_topic")
    assert (request["status"], request["method"], request["response_size"]) == (200, "GET", 40)
    assert request["url"].endswith("/page")
    jid = published("items_topic")[0].value["jid"].split(".")
    assert jid[1:] == ["books_example", "scrapybot"]


@pytest.mark.parametrize(
    "reactor",
    [
        "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
        "twisted.internet.selectreactor.SelectReactor",
    ],
)
def test_every_answer_is_a_record_and_so_is_every_request_without_one(base: str, reactor: str) -> None:
    spider = SPIDER.replace('["/page"]', '["/page", "/moved", "/none", "/flaky"]').replace(
        "yield scrapy.Request(self.base + path, dont_filter=True)",
        'yield scrapy.Request(self.base + path, dont_filter=True)\n            yield scrapy.Request("http://127.0.0.1:1/")',
    )

    done = crawl(spider, "-a", base, TWISTED_REACTOR=reactor, RETRY_TIMES=1)

    records = payloads("requests_topic")
    assert Counter(record["status"] for record in records) == {200: 3, 302: 1, 404: 1, 503: 1, 0: 2}
    assert done.stats["estela/requests/published"] == len(records) == 8
    assert done.stats["estela/items/published"] == len(payloads("items_topic")) == 9
    assert all(len(record["fingerprint"]) == 40 and record["duration"] >= 0 for record in records)


def test_the_stats_account_for_everything_before_scrapy_dumps_them(base: str) -> None:
    done = crawl(SPIDER, "-a", base, "-a", "items=500")

    size = sum(len(message.data or b"") for message in published("items_topic"))
    assert done.stats["estela/items/published"] == 500
    assert done.stats["estela/items/bytes"] == size
    assert done.stats["estela/items/failed"] == 0
    assert done.stats["estela/lost"] == 0
    assert "'estela/items/published': 500" in done.log


def test_an_item_that_cannot_be_serialised_is_named_and_counted_and_the_crawl_goes_on(base: str) -> None:
    spider = SPIDER.replace('yield {"n": n', 'yield {"n": n if n != 1 else {"deep": [object()]}')

    done = crawl(spider, "-a", base)

    assert [payload["n"] for payload in payloads("items_topic")] == [0, 2]
    assert done.stats["estela/items/failed"] == 1
    [line] = [line for line in done.log.splitlines() if "Not published" in line]
    assert "dict: field n.deep[0] is a object" in line


def test_estelas_variables_give_what_estelas_consumer_expects(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "12.books.shop")
    monkeypatch.setenv("ESTELA_COLLECTION", "scj3.books.shop")
    monkeypatch.setenv("ESTELA_UNIQUE_COLLECTION", "True")

    crawl(SPIDER, "-a", base, ESTELA_ITEMS_TOPIC="job_items", ESTELA_REQUESTS_TOPIC="job_requests")

    item, request = published("job_items")[0].value, published("job_requests")[0].value
    assert (item["jid"], item["unique"]) == ("scj3.books.shop", "True")
    assert (request["jid"], request["unique"]) == ("12.books.shop", "False")
    assert set(request["payload"]) == {
        "url", "status", "method", "duration", "time", "response_size", "fingerprint",
    }  # fmt: skip


def test_templates_name_database_and_dataset(base: str) -> None:
    crawl(
        SPIDER,
        "-a",
        base,
        ESTELA_DATABASE="{project}-data",
        ESTELA_DATASET="{spider}.{topic}",
        ESTELA_UNIQUE=1,
    )

    value = published("items_topic")[0].value
    assert (value["db_name"], value["dataset_name"]) == ("scrapybot-data", "books_example.items_topic")
    assert value["unique"] == "True"


def test_an_empty_topic_switches_a_stream_off(base: str) -> None:
    crawl(SPIDER, "-a", base, ESTELA_REQUESTS_TOPIC="")

    assert len(published("items_topic")) == 3
    assert published("requests_topic") == []


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


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"QUEUE_PLATFORM": "rabbit"}, "QUEUE_PLATFORM=rabbit"),
        ({"QUEUE_PLATFORM": "kafka"}, "QUEUE_PLATFORM_LISTENERS is not set"),
        ({"ESTELA_DATASET": "{spidr}"}, "{spidr} is not known"),
        ({"ESTELA_BUFFER_BYTES": "many"}, "ESTELA_BUFFER_BYTES=many"),
        ({"ESTELA_UNIQUE": "perhaps"}, "ESTELA_UNIQUE=perhaps"),
    ],
)
def test_a_wrong_setting_is_one_line_and_the_crawl_does_not_start(
    base: str, settings: dict[str, str], told: str
) -> None:
    done = crawl(SPIDER, "-a", base, **settings)

    [line] = [line for line in done.log.splitlines() if "] ERROR:" in line]
    assert "The crawl does not start" in line
    assert told in line
    assert "Traceback" not in done.log
    assert done.stats["finish_reason"] == "estela_misconfigured"
    assert "downloader/request_count" not in done.stats


def test_scrapy_shell_is_left_alone(base: str, workdir: Path) -> None:
    url = base.removeprefix("base=")
    shell = [sys.executable, "-m", "scrapy", "shell", f"{url}/page", "-c", "response.status"]
    options = ["-s", 'EXTENSIONS={"estela_scrapy.QueueExtension": 500}']

    done = subprocess.run([*shell, *options], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "200"
    assert "estela" not in done.stderr.replace("estela_scrapy.QueueExtension", "")
    assert not (workdir / ".estela").exists()


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

    assert "the crawl waits for the queue" in done.log
    assert len(published("items_topic")) == 2000
    assert done.stats["estela/lost"] == 0


def test_a_queue_that_is_never_there_ends_the_crawl_in_time_and_the_loss_is_told(base: str) -> None:
    began = time.monotonic()

    done = crawl(
        SPIDER,
        "-a",
        base,
        QUEUE_PLATFORM="kafka",
        QUEUE_PLATFORM_LISTENERS="127.0.0.1:1",
        ESTELA_CLOSE_TIMEOUT=7,
    )

    assert time.monotonic() - began < 20
    assert done.code == 0
    assert "4 messages are lost" in done.log
    assert done.stats["estela/lost"] == 4
    [line] = [line for line in done.log.splitlines() if "The queue is away" in line]
    assert "127.0.0.1:1" in line
    assert "[kafka" not in done.log  # the client's own lines, hundreds of them


def test_a_full_buffer_and_no_queue_do_not_keep_a_spider_from_being_closed(base: str) -> None:
    done = crawl(
        SPIDER, "-a", base, "-a", "items=300", QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1",
        ESTELA_CLOSE_TIMEOUT=1, ESTELA_BUFFER_BYTES=2000, CLOSESPIDER_TIMEOUT=2,
    )  # fmt: skip

    assert done.stats["finish_reason"] == "closespider_timeout"
    assert done.stats["estela/lost"] > 0


def test_a_crawl_publishes_to_real_kafka(
    base: str, kafka: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", kafka)

    done = crawl(SPIDER, "-a", base, "-a", "items=200", ESTELA_ITEMS_TOPIC=unique, ESTELA_REQUESTS_TOPIC="")

    assert done.stats["estela/items/published"] == 200, done.log
    assert sorted(payload["n"] for payload in payloads(unique)) == list(range(200))
