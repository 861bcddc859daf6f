"""Routes, layouts and keys in real crawls, from the spider to `estela-verify`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.consumer.commands import drain, run
from tests.scrapy_side.crawls import SPIDER, crawl, payloads, published
from tests.scrapy_side.projects import make_project, scrapy

pytestmark = pytest.mark.processes

SHOP = """
    from dataclasses import dataclass
    import scrapy

    @dataclass
    class Product:
        sku: str
        price: float

    @dataclass
    class Book(Product):
        pages: int = 1

    class Review(scrapy.Item):
        id = scrapy.Field()
        text = scrapy.Field()

    class S(scrapy.Spider):
        name = "shop"
        custom_settings = {"ESTELA_ITEMS": {
            Product: {"dataset": "products", "filter": lambda item: item.price > 1},
            "spider.Review": {"topic": "reviews", "fields": {"id": "review"}, "dataset": "{spider}-{class}"},
        }}

        def __init__(self, base="", **kwargs):
            super().__init__(**kwargs)
            self.start_urls = [base + "/page"]

        def parse(self, response):
            yield Product("a", 2.0)
            yield Product("b", 0.5)
            yield Book("c", 3.0)
            yield Review(id=1, text="x")
            yield {"n": 1}
            yield "no item"
"""


def test_each_route_is_stored_and_proved_by_itself(base: str) -> None:
    done = crawl(SHOP, "-a", base)
    drain("items_topic", "requests_topic", "reviews")

    [closing] = payloads("jobs_topic")
    verified = run("estela-verify", closing["job"], "--json")
    summary = json.loads(verified.out)
    streams = {
        stream["stream"]: (stream["dataset"], stream["scraped"], stream["stored"], stream["filtered"])
        for stream in summary["streams"]
    }
    assert streams == {
        "items": ("scrapybot/shop", 2, 1, 0),
        "items/Product": ("scrapybot/products", 3, 2, 1),
        "items/Review": ("scrapybot/shop-Review", 1, 1, 0),
        "requests": ("scrapybot/shop.requests", None, 1, 0),
    }
    assert (summary["scraped"], summary["unaccounted"], summary["failed"], verified.code) == (6, 0, 1, 7)
    stats = {name: done.stats[f"estela/items/{name}"] for name in ("published", "failed", "filtered")}
    assert stats == {"published": 4, "failed": 1, "filtered": 1}
    assert done.stats["estela/items/Product/filtered"] == 1
    assert done.stats["estela/items/Review/published"] == 1


def test_two_jobs_of_a_spider_share_a_collection_and_each_is_proved(base: str) -> None:
    for _ in range(2):
        crawl(SPIDER, "-a", base)
    drain("items_topic", "requests_topic")

    jobs = [closing["job"] for closing in payloads("jobs_topic")]
    assert [run("estela-verify", job).code for job in jobs] == [0, 0]
    exported = run("estela-data", "export", "scrapybot/books_example").out.splitlines()
    documents = [json.loads(line) for line in exported]
    assert [document["n"] for document in documents] == [0, 1, 2, 0, 1, 2]  # in the order of time
    for named in (jobs[1], f"{jobs[1]}.books_example.scrapybot"):
        of_one = run("estela-data", "export", "scrapybot/books_example", "--job", named).out.splitlines()
        assert of_one == exported[3:]
    nothing = run("estela-data", "show", "scrapybot/books_example", "--job", "another")
    assert nothing.code == 2
    assert "no document of scrapybot/books_example says that it is of job another" in " ".join(
        nothing.err.split()
    )
    assert run("estela-data", "show", "scrapybot/books_example", "--job", "a.b").code == 2


def test_entries_of_the_project_and_of_the_command_line_do_the_same(tmp_path: Path) -> None:
    make_project(tmp_path, 'ESTELA_ITEMS = {dict: {"key": "title"}}\n')
    by_path = {"builtins.dict": {"topic": "elsewhere", "fields": ["title"]}}

    of_project = scrapy(tmp_path, "crawl", "shop")
    of_command = scrapy(tmp_path, "crawl", "shop", "-s", f"ESTELA_ITEMS={json.dumps(by_path)}")

    assert (of_project.returncode, of_command.returncode) == (0, 0)
    assert "'estela/items/dict/published': 1" in of_project.stderr
    program = (
        "from estela_queue_adapter import open_platform\n"
        "for topic in ('items_topic', 'elsewhere'):\n"
        "    for message in open_platform().read(topic): print(topic, message.value.get('key'))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert shown.stdout.splitlines() == ["items_topic ['title']", "elsewhere None"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('ESTELA_ITEMS = {"market.items.Product": {"key": "sku"}}\n', "ModuleNotFoundError"),
        ('ESTELA_ITEMS = {dict: {"kee": "sku"}}\n', "there is no option kee; did you mean key?"),
        ('ESTELA_ON_EXISTING = "keep"\n', "needs ESTELA_KEY"),
    ],
)
def test_a_wrong_entry_is_a_refused_crawl(tmp_path: Path, settings: str, told: str) -> None:
    make_project(tmp_path, settings)

    done = scrapy(tmp_path, "crawl", "shop")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if "] ERROR:" in line]
    assert "The crawl does not start" in line
    assert told in line


def test_the_old_layout_is_there_for_who_asks_for_it(base: str) -> None:
    crawl(SPIDER, "-a", base, ESTELA_LAYOUT="job")

    [item, *_] = [message.value for message in published("items_topic")]
    assert set(item) == {"jid", "unique", "id", "payload"}
