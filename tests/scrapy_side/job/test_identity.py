"""Which job a crawl is, whoever started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_queue_adapter.errors import BadName
from estela_queue_adapter.topic_names import is_topic
from estela_scrapy.job.identity import identify
from estela_wire.dataset import dataset_of
from estela_wire.jid import as_jid_part, parse_jid
from tests.scrapy_side.crawls import published

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("environ", "job"),
    [
        ({"SCRAPYD_JOB": "6487ec79947edab326d6db28a2d86511"}, "6487ec79947edab326d6db28a2d86511"),
        ({"SCRAPYD_JOB": "2026-01-31T10.30.00"}, "2026-01-31T10_30_00"),
        ({"SHUB_JOBKEY": "123/1/7"}, "123_1_7"),
        ({"SCRAPYD_JOB": "", "SHUB_JOBKEY": "123/1/7"}, "123_1_7"),
        ({"SCRAPYD_JOB": "a\nb\ud800"}, "a_b_"),
    ],
)
def test_the_id_of_another_scheduler_is_the_jobs_in_characters_that_a_jid_has(
    environ: dict[str, str], job: str
) -> None:
    assert identify("s", "p", environ).job == job
    assert identify("s", "p", {**environ, "ESTELA_SPIDER_JOB": "7.s.p"}).job == "7"


def test_a_paused_crawl_keeps_the_id_that_its_first_part_was_given(tmp_path: Path) -> None:
    first = identify("s", "p", {"SCRAPYD_JOB": "one"}, jobdir=str(tmp_path))
    second = identify("s", "p", {"SCRAPYD_JOB": "two"}, jobdir=str(tmp_path))

    assert first.job == second.job == "one"


@given(st.text(st.characters()), st.text(st.characters(), max_size=60), st.text(st.characters(), min_size=1))
def test_whatever_spider_and_job_are_called_they_are_parts_of_a_jid(
    spider: str, project: str, given: str
) -> None:
    job = identify(spider, project, {"SCRAPYD_JOB": given})

    assert parse_jid(job.jid) == (job.job, job.spider, job.project)
    assert job.jid.isprintable() or any(ord(char) > 0x9F for char in job.jid)
    assert job.spider_name == spider
    told = refusal(job.jid)
    assert not told or "bytes" in told or "belongs to the server" in told  # for which no underscore can stand


def refusal(jid: str) -> str:
    """Why nothing of that job could be stored; empty if it could."""
    try:
        dataset_of("items_topic", jid)
    except BadName as error:
        return str(error)
    return ""


@given(st.text(st.characters()))
def test_a_part_of_a_jid_that_is_plain_stays_as_it_is(name: str) -> None:
    assert as_jid_part(as_jid_part(name)) == as_jid_part(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ä", "a/b", "t" * 250])
def test_a_name_that_no_topic_can_have(name: str) -> None:
    assert not is_topic(name)


def test_spiders_that_are_named_when_they_are_made_are_jobs_of_their_own(workdir: Path) -> None:
    """Given a class without a name, and two crawls of it in one process."""
    program = """
import scrapy
from scrapy.crawler import CrawlerProcess
class S(scrapy.Spider):
    start_urls = ["data:,1"]
    def parse(self, response): yield {"by": self.name}
process = CrawlerProcess({"EXTENSIONS": {"estela_scrapy.QueueExtension": 500}, "BOT_NAME": "shop"})
for name in ("books.of.alice", "books_of_bob"):
    process.crawl(S, name=name)
process.start()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert "Traceback" not in done.stderr
    jids = {m.value["payload"]["by"]: m.value["jid"].split(".") for m in published("items_topic")}
    assert {name: jid[1:] for name, jid in jids.items()} == {
        "books.of.alice": ["books_of_alice", "shop"],
        "books_of_bob": ["books_of_bob", "shop"],
    }
    assert len({jid[0] for jid in jids.values()}) == 2
