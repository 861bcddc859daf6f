"""Python's collector is one for a whole process, and not ours alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

_PROGRAM = """
import gc, sys, scrapy
from scrapy.crawler import CrawlerProcess
at_first = gc.get_freeze_count()  # some versions of Python freeze a little as they start
class Broken:
    def open_spider(self, spider=None): raise ConnectionError("no database")
    def process_item(self, item, spider=None): return item
class S(scrapy.Spider):
    name = "s"; start_urls = ["data:,1"]
    def parse(self, response):
        print("meanwhile", gc.get_freeze_count() > at_first)
        if "meanwhile" in sys.argv: kept.extend([] for _ in range(10_000)); gc.freeze()
        yield {"a": 1}
kept = []
if "host" in sys.argv: gc.freeze()
settings = {"EXTENSIONS": {"estela_scrapy.QueueExtension": 500}, "LOG_ENABLED": False}
if "broken" in sys.argv: settings["ITEM_PIPELINES"] = {Broken: 1}
process = CrawlerProcess(settings)
for _ in range(2): process.crawl(S)
process.start()
print("after", gc.get_freeze_count() > at_first)
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["meanwhile True", "meanwhile True", "after False"]),
        (["host"], ["meanwhile True", "meanwhile True", "after True"]),
        (["meanwhile"], ["meanwhile True", "meanwhile True", "after True"]),
        (["broken"], ["after False"]),
        (["broken", "host"], ["after True"]),
    ],
)
def test_what_the_host_has_frozen_stays_so_and_what_a_crawl_freezes_does_not(
    workdir: Path, arguments: list[str], told: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout.splitlines() == told, done.stderr
