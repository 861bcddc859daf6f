"""A crawl that does not start because of its settings says why, and its exit code says that it did not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import scrapy.crawler

from tests.scrapy_side.projects import make_project
from tests.scrapy_side.projects import scrapy as run_scrapy
from tests.scrapy_side.reactors import ASYNCIO, NONE, RUNS_WITHOUT, SELECT, options

pytestmark = pytest.mark.processes

# What is wrong, and what the one line says. From the environment here, as that is the harder way.
WRONG = [
    ({"QUEUE_PLATFORM": "rabbit"}, "QUEUE_PLATFORM=rabbit is not a known platform"),
    ({"QUEUE_PLATFORM": "kafka"}, "QUEUE_PLATFORM_LISTENERS is not set"),
    ({"QUEUE_PLATFORM": "kafka", "QUEUE_PLATFORM_LISTENERS": "a:b"}, "'b' is not a port"),
    ({"ESTELA_ENABLED": "maybe"}, "ESTELA_ENABLED=maybe is not True or False"),
    ({"ESTELA_ITEMS_TOPIC": "my items"}, "ESTELA_ITEMS_TOPIC=my items is no topic"),
    ({"ESTELA_DATABASE": "{projekt}"}, "{projekt} is not known"),
    ({"ESTELA_DATABASE": "admin"}, "the database admin belongs to the server"),
    ({"ESTELA_DATASET": "{spider}"}, "would share the collection market/shop"),
    ({"ESTELA_BUFFER_BYTES": "1.5"}, "ESTELA_BUFFER_BYTES=1.5 is not a whole number"),
    ({"ESTELA_CLOSE_TIMEOUT": "-1"}, "ESTELA_CLOSE_TIMEOUT=-1.0 is not above 0"),
    ({"ESTELA_LOGS_LEVEL": "LOUD"}, "ESTELA_LOGS_LEVEL=LOUD: the valid choices are DEBUG"),
    ({"ESTELA_SERIALIZER": "nowhere.to_json"}, "ESTELA_SERIALIZER=nowhere.to_json"),
    (
        {"QUEUE_PLATFORM_PATH": "scrapy.cfg"},
        "scrapy.cfg cannot be the queue's file: it is not an SQLite database",
    ),
    (
        {"QUEUE_PLATFORM_PATH": "/proc/q.db"},
        "QUEUE_PLATFORM_PATH=/proc/q.db cannot be the queue's file: /proc",
    ),
    (
        {"ESTELA_OUTBOX_PATH": "/dev/null"},
        "ESTELA_OUTBOX_PATH=/dev/null cannot be the outbox's file: it is not a",
    ),
    (
        {"ESTELA_OUTBOX_PATH": "scrapy.cfg"},
        "scrapy.cfg cannot be the outbox's file: it is not an SQLite database",
    ),
    ({"ESTELA_OUTBOX_PATH": "/proc/x/y"}, "/proc/x/y cannot be the outbox's file: /proc: "),
    ({"ESTELA_SPIDER_JOB": "12"}, "ESTELA_SPIDER_JOB=12 is not <job>.<spider>.<project>"),
]
_REACTORS: list[dict[str, Any]] = [ASYNCIO, SELECT, *([NONE] if RUNS_WITHOUT else [])]
_AT_ONCE = 3  # crawls: each has a core to itself for a second


@pytest.fixture(scope="module")
def crawls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Future[CompletedProcess[str]]]]:
    """`scrapy crawl` with each wrong setting; on each kind of reactor in turn."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield [
            pool.submit(
                run_scrapy, folder, "crawl", "shop", *options(_REACTORS[number % len(_REACTORS)]),
                environ=environ,
            )
            for number, (environ, _) in enumerate(WRONG)
        ]  # fmt: skip
    assert not (folder / ".estela").exists()


@pytest.mark.parametrize("number", range(len(WRONG)), ids=[told for _, told in WRONG])
def test_scrapy_crawl_says_what_is_wrong_in_one_line_and_exits_with_1(
    crawls: list[Future[CompletedProcess[str]]], number: int
) -> None:
    done = crawls[number].result()

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if "] ERROR:" in line or "] CRITICAL:" in line]
    assert "The crawl does not start" in line
    assert WRONG[number][1] in line
    assert "downloader/request_count" not in done.stderr
    assert "'finish_reason': 'estela_misconfigured'" in done.stderr


def test_what_an_earlier_crawl_has_brought_is_not_emptied(tmp_path: Path) -> None:
    """Given a feed and a pipeline that both write to a file that is there already."""
    make_project(tmp_path, "ITEM_PIPELINES = {'market.pipeline.ToAFile': 1}\n")
    (tmp_path / "market" / "pipeline.py").write_text(
        "class ToAFile:\n    def open_spider(self, spider=None): open('pipeline.txt', 'w')\n"
        "    def process_item(self, item, spider=None): return item\n"
    )
    for name in ("feed.json", "pipeline.txt"):
        (tmp_path / name).write_text("yesterday's")

    done = run_scrapy(tmp_path, "crawl", "shop", "-O", "feed.json", environ={"ESTELA_UNIQUE": "perhaps"})

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name in ("feed.json", "pipeline.txt"):
        assert (tmp_path / name).read_text() == "yesterday's"


@pytest.mark.parametrize(
    "process", [name for name in ("CrawlerProcess", "AsyncCrawlerProcess") if hasattr(scrapy.crawler, name)]
)
def test_a_script_learns_of_it_from_its_process_and_the_other_crawls_go_on(
    workdir: Path, process: str
) -> None:
    program = f"""
import sys, scrapy
from scrapy.crawler import {process}
class S(scrapy.Spider):
    name = "s"; start_urls = ["data:,1"]
    def parse(self, response): yield {{"a": 1}}
class Wrong(S):
    name = "wrong"; custom_settings = {{"ESTELA_UNIQUE": "perhaps"}}
process = {process}({{"EXTENSIONS": {{"estela_scrapy.QueueExtension": 500}}}})
crawlers = [process.create_crawler(spider) for spider in (Wrong, S)]
for crawler in crawlers: process.crawl(crawler)
process.start()
print([crawler.stats.get_value("item_scraped_count") for crawler in crawlers])
sys.exit(3 if process.bootstrap_failed else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout.strip()) == (3, "[None, 1]"), done.stderr
    assert done.stderr.count("The crawl does not start: ESTELA_UNIQUE=perhaps") == 1
    assert "Traceback" not in done.stderr
