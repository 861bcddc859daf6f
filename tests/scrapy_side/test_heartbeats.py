"""The heartbeats of a crawl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import TopicMissing
from estela_wire.closing_record import ClosingRecord
from estela_wire.heartbeat import Heartbeat, kind_of
from tests.scrapy_side.paced_crawl import PacedCrawl

pytestmark = pytest.mark.processes


def told(topic: str = "jobs_topic") -> list[Heartbeat | ClosingRecord]:
    """What is on the jobs topic."""
    try:
        payloads: list[dict[str, Any]] = [m.value["payload"] for m in open_platform().read(topic)]
    except TopicMissing:
        return []
    return [
        Heartbeat.from_payload(payload) if kind_of(payload) else ClosingRecord.from_payload(payload)
        for payload in payloads
    ]


def test_a_crawl_sends_heartbeats_with_its_counts_until_its_closing_record(workdir: Path) -> None:
    crawl = PacedCrawl(workdir, 30, 3.0, ESTELA_HEARTBEAT="0.3")

    assert crawl.process.wait(90) == 0

    *heartbeats, record = told()
    assert isinstance(record, ClosingRecord)
    beats = [each for each in heartbeats if isinstance(each, Heartbeat)]
    assert len(beats) == len(heartbeats) >= 2
    assert [each.published for each in beats] == sorted(each.published for each in beats)
    assert 0 < beats[-1].published <= 30
    assert beats[-1].scraped is not None
    assert {each.interval for each in beats} == {0.3}
    assert {each.opened.replace(microsecond=0) for each in beats} == {record.opened.replace(microsecond=0)}
    assert all(each.sent <= record.closed for each in beats)
    assert record.streams[0].published == 30


def test_a_crawl_that_is_killed_leaves_heartbeats_and_no_closing_record(workdir: Path) -> None:
    crawl = PacedCrawl(workdir, 1_000, 100.0, ESTELA_HEARTBEAT="0.2")
    wait_until(lambda: bool(told()), "a heartbeat", timeout=90)

    crawl.kill()

    assert all(isinstance(each, Heartbeat) for each in told())


def test_with_an_interval_of_0_there_are_none(workdir: Path) -> None:
    assert PacedCrawl(workdir, 10, 1.5, ESTELA_HEARTBEAT="0").process.wait(90) == 0

    [record] = told()
    assert isinstance(record, ClosingRecord)
