"""A project as `scrapy startproject` makes it, and what is installed, as a new user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SPIDER = """
import datetime
from decimal import Decimal

import scrapy


class Thing(scrapy.Item):
    name = scrapy.Field()
    price = scrapy.Field()
    seen = scrapy.Field()


class ThingsSpider(scrapy.Spider):
    name = "things"
    start_urls = ["data:text/html,<h1>cup</h1>", "data:text/html,<h1>pot</h1>"]

    def parse(self, response):
        name = response.css("h1::text").get()
        yield Thing(name=name, price=Decimal("1.10"), seen=datetime.date(2026, 1, 31))
        for n in range(99):
            yield {"name": name, "n": n}
"""
EXTENSION = 'EXTENSIONS = {"estela_scrapy.QueueExtension": 500}\n'
ADDON = 'ADDONS = {"estela_scrapy.Addon": 0}\n'


def installed(folder: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment in `folder`, which sees nothing of a checkout."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(Path(sys.executable).parent / command), *arguments],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def start_project(workdir: Path, line: str) -> Path:
    """The project `foreign` with its spider `things`, and with a line of ours in its settings."""
    made = installed(workdir, "scrapy", "startproject", "foreign")
    assert made.returncode == 0, made.stderr
    (workdir / "foreign" / "foreign" / "spiders" / "things.py").write_text(SPIDER)
    with (workdir / "foreign" / "foreign" / "settings.py").open("a") as settings:
        settings.write(line)
    return workdir / "foreign"
