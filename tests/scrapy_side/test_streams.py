"""What the streams carry, and where to."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import scrapy

from estela_wire.closing_record import ClosingRecord
from tests.scrapy_side.crawls import SPIDER, crawl, payloads, published
from tests.scrapy_side.reactors import ASYNCIO, SELECT

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("reactor", [ASYNCIO, SELECT], ids=["asyncio", "select"])
def test_every_answer_is_a_record_and_so_is_every_request_without_one(
    base: str, reactor: dict[str, Any]
) -> None:
    spider = SPIDER.replace('["/page"]', '["/page", "/moved", "/none", "/flaky"]').replace(
        "yield scrapy.Request(self.base + path, dont_filter=True)",
        'yield scrapy.Request(self.base + path, dont_filter=True)\n            yield scrapy.Request("http://127.0.0.1:1/")',
    )

    done = crawl(spider, "-a", base, RETRY_TIMES=1, **reactor)

    records = payloads("requests_topic")
    assert Counter(record["status"] for record in records) == {200: 3, 302: 1, 404: 1, 503: 1, 0: 2}
    assert done.stats["estela/requests/published"] == len(records) == 8
    assert done.stats["estela/items/published"] == len(payloads("items_topic")) == 9
    assert all(len(record["fingerprint"]) == 40 and record["duration"] >= 0 for record in records)


def test_estelas_variables_give_what_estelas_consumer_expects(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "12.books.shop")
    monkeypatch.setenv("ESTELA_COLLECTION", "scj3.books.shop")
    monkeypatch.setenv("ESTELA_UNIQUE_COLLECTION", "True")

    topics = {name: f"job_{name.lower()}" for name in ("ITEMS", "REQUESTS", "STATS", "LOGS")}

    crawl(SPIDER, "-a", base, **{f"ESTELA_{name}_TOPIC": topic for name, topic in topics.items()})

    item, request, stats, log = (published(topic)[0].value for topic in topics.values())
    assert (item["jid"], item["unique"]) == ("scj3.books.shop", "True")
    for value in (request, stats, log):
        assert (value["jid"], value["unique"]) == ("12.books.shop", "False")
    assert set(request["payload"]) == {
        "url", "status", "method", "duration", "time", "response_size", "fingerprint",
    }  # fmt: skip
    assert len(published("job_stats")) == 1
    assert stats["payload"]["spider_name"] == "books.example"
    assert stats["payload"]["status"] == stats["payload"]["finish_reason"] == "finished"
    assert stats["payload"]["item_scraped_count"] == 3
    assert stats["payload"]["elapsed_time_seconds"] >= 0
    assert set(log["payload"]) == {"log", "datetime"}
    lines = [line["log"] for line in payloads("job_logs")]
    assert any(
        re.fullmatch(r"[\d: -]+ \[scrapy.core.engine\] INFO: Closing spider \(finished\)", line)
        for line in lines
    )
    assert not any("] DEBUG:" in line for line in lines)


@pytest.mark.skipif(scrapy.version_info < (2, 13), reason="it drops text that a spider yields itself")
def test_a_closing_record_says_what_was_published(base: str) -> None:
    spider = SPIDER.replace("yield {", "yield str(n) if n == 0 else {")

    done = crawl(spider, "-a", base, ESTELA_DATABASE="d")

    [message] = published("jobs_topic")
    record = ClosingRecord.from_payload(message.value["payload"])
    items, requests = record.streams
    assert (record.spider, record.project, record.finish_reason) == ("books_example", "scrapybot", "finished")
    assert record.jid == message.value["jid"] == items.jid == requests.jid
    assert record.opened < record.closed
    assert (items.stream, items.topic, items.published, items.failed) == ("items", "items_topic", 2, 1)
    assert (requests.stream, requests.published, requests.failed) == ("requests", 1, 0)
    assert (items.db_name, items.dataset_name) == ("d", "books_example")
    ids = [message.value["id"] for message in published("items_topic")]
    assert (items.first_id, items.last_id) == (ids[0], ids[-1])
    assert done.stats["estela/items/failed"] == 1
    assert (record.item_scraped_count, record.response_received_count, record.run) == (3, 1, None)


def test_the_stats_and_the_closing_record_agree_on_the_lines_that_failed(base: str) -> None:
    """Given a line that cannot be formatted, and more lines at the start than memory may hold."""
    spider = SPIDER.replace(
        'name = "books.example"',
        'name = "books.example"; custom_settings = {"ITEM_PIPELINES": {Talkative: 1}}',
    ).replace(
        "class S(",
        """class Talkative:
        def __init__(self):
            import logging
            logging.getLogger("talk").info("%s %d", "badly formatted")
            for n in range(12):
                logging.getLogger("talk").info("x" * 200_000)
        def process_item(self, item, spider=None):
            return item

    class S(""",
    )

    done = crawl(spider, "-a", base, ESTELA_LOGS_TOPIC="job_logs", LOG_FILE="scrapy.log")

    [closing] = payloads("jobs_topic")
    [logs] = [stream for stream in closing["streams"] if stream["stream"] == "logs"]
    lines = [payload["log"] for payload in payloads("job_logs")]
    assert done.stats["estela/logs/failed"] == logs["failed"] == 7  # 5 of 12 fit
    assert any(line.endswith("INFO: %s %d ('badly formatted',)") for line in lines)
    assert logs["published"] == len(lines)


def test_the_add_on_is_one_line_and_publishes_every_stream(base: str) -> None:
    crawl(SPIDER, "-a", base, EXTENSIONS="{}", ADDONS='{"estela_scrapy.Addon": 0}', ESTELA_LOGS_TOPIC="lines")

    topics = ("items_topic", "requests_topic", "job_stats", "jobs_topic")
    assert [len(published(topic)) for topic in topics] == [3, 1, 1, 1]
    assert published("lines")  # what the project sets itself wins
    assert not published("job_logs")


def test_the_add_on_does_not_add_a_second_extension(base: str) -> None:
    crawl(SPIDER, "-a", base, ADDONS='{"estela_scrapy.Addon": 0}')

    assert len(published("items_topic")) == 3


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
