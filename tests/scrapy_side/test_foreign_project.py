"""What is installed, in a project of somebody else: from its spider to the store, and refused if wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.scrapy_side.foreign import ADDON, EXTENSION, installed, start_project
from tests.scrapy_side.reactors import ASYNCIO, EACH, NONE, RUNS_WITHOUT, SELECT, options

pytestmark = pytest.mark.processes

TOPICS = {
    "ESTELA_ITEMS_TOPIC": "items_topic",
    "ESTELA_REQUESTS_TOPIC": "requests_topic",
    "ESTELA_STATS_TOPIC": "job_stats",
    "ESTELA_LOGS_TOPIC": "job_logs",
}


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


def test_one_line_of_settings_is_all_that_it_takes(workdir: Path) -> None:
    project = start_project(workdir, EXTENSION)

    crawl_and_store(project, SELECT, ["items_topic", "requests_topic"])


def test_the_add_on_is_a_line_too_and_publishes_all_streams(workdir: Path) -> None:
    project = start_project(workdir, ADDON)

    crawl_and_store(project, NONE if RUNS_WITHOUT else ASYNCIO, list(TOPICS.values()))


def test_it_is_all_in_real_mongodb_too_and_came_by_real_kafka(
    workdir: Path, kafka: str, mongodb: str, unique: str, monkeypatch: pytest.MonkeyPatch
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
    project = start_project(workdir, ADDON)

    crawl_and_store(project, {}, list(topics.values()))


@pytest.mark.parametrize("settings", EACH)
def test_with_a_wrong_setting_nothing_is_scraped_and_scrapy_exits_with_1(
    workdir: Path, settings: dict[str, Any]
) -> None:
    project = start_project(workdir, EXTENSION + 'ESTELA_OUTBOX = "sometimes"\n')

    done = installed(project, "scrapy", "crawl", "things", *options(settings))

    assert done.returncode == 1
    assert done.stderr.count("The crawl does not start: ESTELA_OUTBOX=sometimes") == 1
    assert "Traceback" not in done.stderr
    assert "downloader/request_count" not in done.stderr
    assert "item_scraped_count" not in done.stderr
    assert not (project / ".estela").exists()
