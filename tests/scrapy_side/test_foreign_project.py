"""A project as `scrapy startproject` makes it, and what is installed, as a new user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scrapy_side.reactors import EACH, SELECT, WITHOUT_REACTOR, options

pytestmark = pytest.mark.processes

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
TOPICS = {
    "ESTELA_ITEMS_TOPIC": "items_topic",
    "ESTELA_REQUESTS_TOPIC": "requests_topic",
    "ESTELA_STATS_TOPIC": "job_stats",
    "ESTELA_LOGS_TOPIC": "job_logs",
}


def installed(folder: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment in `folder`, which sees nothing of a checkout."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(Path(sys.executable).parent / command), *arguments],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def project(workdir: Path) -> Path:
    """The project `foreign` with its spider `things`, and the extension not yet in its settings."""
    made = installed(workdir, "scrapy", "startproject", "foreign")
    assert made.returncode == 0, made.stderr
    (workdir / "foreign" / "foreign" / "spiders" / "things.py").write_text(SPIDER)
    return workdir / "foreign"


def add(project: Path, line: str) -> None:
    """Add a line to the project's settings."""
    with (project / "foreign" / "settings.py").open("a") as settings:
        settings.write(line)


def crawl_and_store(project: Path, settings: dict[str, Any], topics: list[str]) -> None:
    """Crawl, drain, verify: every item of the spider is in the store."""
    crawled = installed(project, "scrapy", "crawl", "things", *options(settings))
    assert (crawled.returncode, "Traceback" in crawled.stderr) == (0, False), crawled.stderr
    [job] = re.findall(r"Publishing job (\S+) to ", crawled.stderr)
    drained = installed(project, "estela-consume", *topics, "--drain")
    assert drained.returncode == 0, drained.stderr
    verified = installed(project, "estela-verify", job, "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    told = json.loads(verified.stdout)
    assert told["told"].startswith("complete: all ")
    assert [stream["stored"] for stream in told["streams"] if stream["stream"] == "items"] == [200]


def test_one_line_of_settings_is_all_that_it_takes(project: Path) -> None:
    add(project, EXTENSION)

    crawl_and_store(project, SELECT, ["items_topic", "requests_topic"])


@pytest.mark.parametrize("settings", [WITHOUT_REACTOR])
def test_the_add_on_is_a_line_too_and_publishes_all_streams(project: Path, settings: dict[str, Any]) -> None:
    add(project, ADDON)

    crawl_and_store(project, settings, list(TOPICS.values()))


def test_it_is_all_in_real_mongodb_too_and_came_by_real_kafka(
    project: Path, kafka: str, mongodb: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = {setting: f"{unique}-{name}" for setting, name in TOPICS.items()}
    environ = {
        "QUEUE_PLATFORM": "kafka",
        "QUEUE_PLATFORM_LISTENERS": kafka,
        "DB_CONNECTION": mongodb,
        "ESTELA_DATABASE": unique,
        "ESTELA_JOBS_TOPIC": f"{unique}-jobs",
    }
    for name, value in {**environ, **topics}.items():
        monkeypatch.setenv(name, value)
    add(project, ADDON)

    crawl_and_store(project, {}, list(topics.values()))


@pytest.mark.parametrize("settings", EACH)
def test_with_a_wrong_setting_nothing_is_scraped_and_scrapy_exits_with_1(
    project: Path, settings: dict[str, Any]
) -> None:
    add(project, EXTENSION + 'ESTELA_OUTBOX = "sometimes"\n')

    done = installed(project, "scrapy", "crawl", "things", *options(settings))

    assert done.returncode == 1
    assert done.stderr.count("The crawl does not start: ESTELA_OUTBOX=sometimes") == 1
    assert "Traceback" not in done.stderr
    assert "downloader/request_count" not in done.stderr
    assert "item_scraped_count" not in done.stderr
    assert not (project / ".estela").exists()
