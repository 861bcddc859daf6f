"""The log of a job, line by line, to the queue."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy import Spider
from scrapy.crawler import Crawler

from estela_scrapy.job.logs import MAX_LINE, JobLogHandler, line_payload
from tests.scrapy_side.crawls import crawl

pytestmark = pytest.mark.processes


class Books(Spider):
    name = "books"


def crawler(**settings: Any) -> Crawler:
    made = Crawler(Books, settings)
    made.spider = Books.from_crawler(made) if made.settings.frozen else Books()
    return made


class Log:
    """A logger of its own with a handler, and what it published."""

    def __init__(self, of: Crawler, name: str, level: int | str = "INFO", max_bytes: int = MAX_LINE) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.logger = logging.getLogger(name)
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self.handler = JobLogHandler.from_crawler(of, level, max_bytes)
        self.crawler = of
        self.handler.begin(self.publish)
        self.logger.addHandler(self.handler)

    def publish(self, payload: bytes) -> None:
        self.payloads.append(json.loads(payload))

    @property
    def lines(self) -> list[str]:
        return [payload["log"] for payload in self.payloads]


@pytest.fixture
def log(unique: str) -> Iterator[Log]:
    made = Log(crawler(LOG_FORMAT="[%(name)s] %(message)s"), unique)
    yield made
    made.logger.removeHandler(made.handler)


def test_a_line_is_published_with_its_time_and_its_traceback(log: Log, unique: str) -> None:
    try:
        raise ValueError("it broke")
    except ValueError:
        log.logger.exception("a line of %s", "ü")

    [payload] = log.payloads
    assert set(payload) == {"log", "datetime"}
    assert isinstance(payload["datetime"], float)
    assert payload["log"].startswith(f"[{unique}] a line of ü\nTraceback (most recent call last)")
    assert payload["log"].endswith("ValueError: it broke")


def test_a_lone_surrogate_is_published_as_it_is(log: Log, unique: str) -> None:
    # Handed over directly: a test's report, which has every line that is logged, could not carry it.
    log.handler.handle(logging.makeLogRecord({"name": unique, "msg": "\ud800", "levelno": logging.INFO}))

    assert log.lines[0].endswith("\ud800")


def test_lines_below_its_level_are_not_taken(log: Log) -> None:
    log.logger.debug("no")
    log.logger.info("yes")

    assert len(log.lines) == 1


def test_what_is_logged_while_a_line_is_published_is_not_taken(log: Log) -> None:
    """Given a publish that logs, in this thread and in another that it waits for."""

    def publish(payload: bytes) -> None:
        log.publish(payload)
        log.logger.error("from within")
        if len(log.payloads) == 1:
            other = threading.Thread(target=log.logger.error, args=("from another thread",))
            other.start()
            other.join(30)  # a handler with a lock would hold it for ever
            assert not other.is_alive()

    log.handler._publish = publish

    log.logger.info("first")
    log.logger.info("second")

    assert [line.partition("] ")[2] for line in log.lines] == ["first", "from another thread", "second"]


def test_a_publish_that_fails_does_not_fail_the_caller_and_is_counted(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    def publish(payload: bytes) -> None:
        raise RuntimeError("no room")

    log.handler._publish = publish

    log.logger.info("a line")
    log.logger.info("another")

    assert log.handler.failed == 2
    assert "no room" in capsys.readouterr().err


class Odd:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("msg", "args", "told"),
    [
        ("%s %d", ("bad",), "%s %d ('bad',)"),
        ("%d", ("x" * 10_000_000,), "%d ('xxx"),
        ("no place", (1, 2), "no place (1, 2)"),
        ("%(a)s", ({"b": 1},), "%(a)s {'b': 1}"),
        ("%s", (Odd(),), "%s (<Odd instance at"),
        (Odd(), (), "<Odd: RuntimeError>"),
    ],
)
def test_a_line_that_cannot_be_formatted_is_published_as_message_and_arguments(
    log: Log, unique: str, msg: object, args: tuple[object, ...], told: str
) -> None:
    log.handler.handle(logging.LogRecord(unique, logging.INFO, "", 0, msg, args, None))

    [line] = log.lines
    assert line.startswith(f"[{unique}] {told}")
    assert len(line) < 1000
    assert log.handler.failed == 0


def test_a_log_format_that_nothing_fits_costs_no_line(unique: str) -> None:
    log = Log(crawler(LOG_FORMAT="%(message)d"), unique)

    log.handler.handle(logging.makeLogRecord({"name": unique, "msg": "a line", "levelno": logging.INFO}))
    log.logger.removeHandler(log.handler)

    assert (log.lines, log.handler.failed) == (["a line"], 0)


@pytest.mark.parametrize("name", ["kafka", "kafka.client"])
def test_lines_of_the_queues_client_are_not_taken(name: str) -> None:
    log = Log(crawler(), name)

    log.logger.error("a line")
    log.logger.removeHandler(log.handler)

    assert log.lines == []


def test_of_several_crawls_each_takes_its_own_lines_and_those_of_nobody(log: Log, unique: str) -> None:
    other = Log(crawler(), unique)

    log.logger.info("of nobody")
    log.logger.info("mine", extra={"spider": log.crawler.spider})
    log.logger.info("its own", extra={"spider": other.crawler.spider})
    log.logger.info("of its crawler", extra={"crawler": other.crawler})
    other.logger.removeHandler(other.handler)

    assert [line.partition("] ")[2] for line in log.lines] == ["of nobody", "mine"]
    assert [line.rpartition(": ")[2] for line in other.lines] == ["of nobody", "its own", "of its crawler"]


def test_lines_from_before_the_beginning_are_published_first_and_no_more_than_memory_allows(
    unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a handler that hears before it may publish, and room for two lines."""
    of, heard = crawler(LOG_FORMAT="%(message)s"), logging.getLogger(unique)
    heard.propagate = False
    handler = JobLogHandler.from_crawler(of)
    heard.addHandler(handler)
    published: list[str] = []
    monkeypatch.setattr(
        "estela_scrapy.job.logs._EARLY_BYTES", 2 * len(line_payload("one", time.time(), 99)) + 9
    )

    for line in ("one", "two", "three"):
        heard.warning(line)
    handler.begin(lambda payload: published.append(json.loads(payload)["log"]))
    heard.warning("four")
    heard.removeHandler(handler)

    assert published == ["one", "two", "four"]
    assert handler.failed == 1


def test_a_handler_goes_with_a_crawl_that_failed_before_its_spider_was_open() -> None:
    of = crawler()
    handler = JobLogHandler.from_crawler(of)
    handler.listen()

    del of
    gc.collect()

    assert handler not in logging.getLogger().handlers


def test_scrapy_says_again_what_it_said_at_its_start_to_the_handler_alone(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("scrapy").setLevel(logging.DEBUG)

    log.handler.replay_start(log.crawler.settings)

    assert "Scrapy" in log.lines[0]
    assert "started (bot: scrapybot)" in log.lines[0]
    assert caplog.records == []


@given(st.text(st.characters(), max_size=3000), st.integers(80, 3000))
def test_a_line_of_any_kind_is_cut_to_what_the_queue_takes_and_says_so(line: str, most: int) -> None:
    payload = line_payload(line, 1.5, max(most, 150))

    told = json.loads(payload)
    assert len(payload) <= max(most, 150)
    assert told["datetime"] == 1.5
    if told["log"] != line:
        kept, _, said = told["log"].rpartition("... [cut: ")
        assert line.startswith(kept)
        assert said == f"the line has {len(line)} characters]"


def test_a_line_that_fits_is_not_cut() -> None:
    line = "x" * 1000

    assert json.loads(line_payload(line, 0.0, 1100))["log"] == line


SPIDER = """
    import json
    import logging
    import scrapy
    from estela_scrapy.job.logs import JobLogHandler

    class Lines:
        @classmethod
        def from_crawler(cls, crawler):
            file = open("lines.jsonl", "wb", buffering=0)
            handler = JobLogHandler.from_crawler(crawler, "DEBUG")
            handler.begin(lambda data: file.write(data + b"\\n"))
            handler.listen()
            logging.getLogger("spider.mark").info("from here on")
            return cls()

    class S(scrapy.Spider):
        name = "s"
        start_urls = ["data:,x"]
        def parse(self, response):
            self.logger.warning("parsing %s", response)
            yield {"name": "ü"}
            raise ValueError("it broke")
"""


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("short", [False, True])
def test_the_lines_of_a_real_crawl_are_those_of_its_log_file(short: bool) -> None:
    result = crawl(
        SPIDER, EXTENSIONS='{"spider.Lines": 1}', LOG_FILE="scrapy.log", LOG_SHORT_NAMES=short,
    )  # fmt: skip

    lines = [json.loads(line)["log"] for line in Path("lines.jsonl").read_text().splitlines()]
    log = Path("scrapy.log").read_text()
    assert result.code == 0, result.log
    assert any("ValueError: it broke" in line for line in lines)
    assert log.endswith("\n".join(lines) + "\n")
