"""How crawls have ended is counted once, whoever counts, and whatever spiders are called."""

from __future__ import annotations

import itertools
import json
import threading
from datetime import datetime, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from devservers.ports import wait_until
from estela_consumer.monitoring.closed_jobs import OTHER, ClosedJobsCount, ClosedJobsWatch
from estela_consumer.monitoring.collector import exposition
from estela_queue_adapter import Message, open_platform
from estela_terminal.printable import printable
from tests.consumer.commands import publish
from tests.consumer.monitoring.watched import Watched
from tests.consumer.verification.ended_jobs import OPENED, EndedJob

offsets = itertools.count()


def record(spider: str, reason: str = "finished", minute: int = 0, **more: Any) -> Message:
    payload = {
        "job": "1", "spider": spider, "project": "p", "finish_reason": reason, "opened": OPENED.isoformat(),
        "closed": datetime(2026, 2, 1, 0, minute, tzinfo=timezone.utc).isoformat(), "streams": [],
    }  # fmt: skip
    data = orjson.dumps({"jid": "1.s.p", "payload": payload, **more})
    return Message("jobs", 0, next(offsets), 1.0, None, data, ())


def test_a_copy_counts_once_and_what_is_no_closing_record_not_at_all() -> None:
    count = ClosedJobsCount()
    one = "65b9f1a20000000000000001"

    count.add([record("s", id=one), record("s", id=one), record("s", "shutdown", 5), record("s", minute=3)])
    count.add(
        [
            Message("jobs", 0, 900, 1.0, None, None, ()),
            Message("jobs", 0, 901, 1.0, None, b'{"finish_reason": ', ()),
            Message("jobs", 0, 902, 1.0, None, b'{"jid": "1.s.p", "payload": {"finish_reason": 1}}', ()),
            record(""),
        ]
    )

    assert count.latest.counts == {("s", "finished"): 2, ("s", "shutdown"): 1}
    assert count.latest.last == {"s": datetime(2026, 2, 1, 0, 5, tzinfo=timezone.utc).timestamp()}


def test_so_many_spiders_and_reasons_are_named_and_the_rest_is_counted_together() -> None:
    count = ClosedJobsCount()

    count.add(record(f"s{n}", f"r{n % 50}") for n in range(1_000))
    count.add([record("s0", "r0")])

    spiders = {spider for spider, _ in count.latest.counts}
    assert len(spiders) == len(count.latest.last) == 201
    assert len({reason for _, reason in count.latest.counts}) == 21
    assert sum(count.latest.counts.values()) == 1_001
    assert count.latest.counts["s0", "r0"] == 2
    assert OTHER in spiders


@settings(deadline=None)
@given(st.text(min_size=1, max_size=150), st.text(max_size=150))
def test_whatever_a_spider_is_called_the_metrics_can_be_read_back(spider: str, reason: str) -> None:
    count, watched = ClosedJobsCount(), Watched("t")
    fields = {"job": "1", "spider": spider, "project": "p", "finish_reason": reason, "streams": []}
    times = {"opened": OPENED.isoformat(), "closed": OPENED.isoformat()}
    data = json.dumps({"jid": "1.s.p", "payload": {**fields, **times}}).encode()
    count.add([Message("jobs", 0, 0, 1.0, None, data, ())])
    watched.observer.closed_jobs = lambda: count.latest

    text = exposition(watched.observer.observe, "1.0")().decode()

    found = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("estela_job")
    ]
    assert len(found) == 2
    for each in found:
        for value in each.labels.values():
            assert len(value) <= 100
            assert value == printable(value)


def counting() -> bool:
    return any(thread.name == "estela-closed-jobs" for thread in threading.enumerate())


@pytest.mark.usefixtures("surroundings")
def test_consumers_share_the_records_and_who_comes_later_goes_on(unique: str) -> None:
    platform, topic = open_platform(), f"{unique}-jobs"
    job = EndedJob(f"1.spider.{unique}", topic)
    job.stream(unique, [{"n": 1}])
    job.close()
    watches = [ClosedJobsWatch(platform, topic) for _ in range(2)]

    def total(name: str = "spider", reason: str = "finished") -> int:
        return sum(watch.latest().counts.get((name, reason), 0) for watch in watches)

    for watch in watches:
        watch.start()
    try:
        wait_until(lambda: total() == 1, "the first record to be counted")
        job.close(finish_reason="shutdown", later=3)
        publish(topic, [b"rubbish"])
        wait_until(lambda: total(reason="shutdown") == 1, "the second record to be counted")
        for watch in watches:
            watch.stop()
        wait_until(lambda: not counting(), "the first two to have ended")
        later = ClosedJobsWatch(platform, topic)
        watches.append(later)
        later.start()
        job.close(later=9)
        wait_until(lambda: later.latest().counts == {("spider", "finished"): 1}, "the third, and it alone")
        assert later.latest().last["spider"] == OPENED.timestamp() + 600
    finally:
        for watch in watches:
            watch.stop()
