"""Crawls while the queue is away, slow, or back again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import or_skip
from tests.consumer.commands import run
from tests.scrapy_side.crawls import published
from tests.services.kafka import KafkaCluster, create_topic
from tests.services.ports import free_port, wait_until

SPIDER = Path(__file__).parent / "paced_spider.py"
PAUSE = 1.0  # seconds: a reactor that waits for the network stands still for five or more


class Crawl:
    """A crawl that runs while the test goes on."""

    def __init__(self, items: int, seconds: float, **settings: Any) -> None:
        given = {
            "EXTENSIONS": '{"estela_scrapy.QueueExtension": 500}',
            "STATS_CLASS": "tests.scrapy_side.crawls.StatsInAFile",
            "ESTELA_REQUESTS_TOPIC": "",
            "LOG_LEVEL": "INFO",
            **settings,
        }
        options = [part for name, value in given.items() for part in ("-s", f"{name}={value}")]
        arguments = [
            part
            for part in (f"items={items}", f"seconds={seconds}", "record=record")
            for part in ("-a", part)
        ]
        Path("stats.json").unlink(missing_ok=True)
        with Path("crawl.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scrapy", "runspider", str(SPIDER), *arguments, *options],
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(SPIDER.parent.parent.parent)},
            )

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return Path("crawl.log").read_text()

    @property
    def scraped(self) -> int:
        """How many items it has scraped so far."""
        record = Path("record")
        return len(record.read_text().splitlines()) if record.exists() else 0

    def wait(self, timeout: float = 90) -> dict[str, Any]:
        """Return its stats when it has ended by itself; empty where it was killed."""
        try:
            self.process.wait(timeout)
        finally:
            self.process.kill()
            self.process.wait()
        stats = Path("stats.json")
        return json.loads(stats.read_text()) if stats.exists() else {}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with or_skip("Apache Kafka"):
        cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"))
        cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def broker(cluster: KafkaCluster, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A broker that a test may stop; it runs again afterwards."""
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", cluster.bootstrap_servers)
    [broker] = cluster.brokers
    yield broker
    if not broker.running:
        broker.start()


def numbers(topic: str) -> Counter[int]:
    return Counter(message.value["payload"]["n"] for message in published(topic))


def test_a_broker_that_is_away_for_a_while_costs_the_crawl_no_pause_and_no_item(
    broker: Any, unique: str
) -> None:
    crawl = Crawl(2_000, 12, ESTELA_ITEMS_TOPIC=unique)
    wait_until(lambda: crawl.scraped > 200, "a beginning")
    broker.stop()
    wait_until(lambda: "The queue is away" in crawl.log, "the outage")
    broker.start()
    stats = crawl.wait()

    assert numbers(unique) == Counter(range(2_000)), crawl.log
    assert stats["paced/longest_pause"] < PAUSE
    assert stats["estela/outbox/passed"] > 0
    assert (stats["estela/outbox/waiting"], stats["estela/lost"]) == (0, 0)


def test_a_crawl_without_a_queue_ends_in_time_and_estela_outbox_sends_it_all_later(
    broker: Any, unique: str
) -> None:
    broker.stop()
    crawl = Crawl(500, 1, ESTELA_ITEMS_TOPIC=unique, ESTELA_CLOSE_TIMEOUT=3)
    stats = crawl.wait()
    assert crawl.process.returncode == 0
    assert stats["elapsed_time_seconds"] < 1 + PAUSE
    assert stats["estela/outbox/waiting"] == 501  # and the closing record
    [line] = [line for line in crawl.log.splitlines() if "501 message(s) wait in the outbox" in line]
    assert f"estela-outbox --path {Path('.estela/outbox.db').absolute()} send" in line

    away = run("estela-outbox", "send", "--max-wait", "1")
    assert away.code == 4
    assert "501 still wait" in away.out
    assert "Traceback" not in away.err
    broker.start()
    done = run("estela-outbox", "send")

    assert (done.code, done.out.splitlines()[-1].split(" to ")[0]) == (0, "501 sent"), done.err
    assert numbers(unique) == Counter(range(500))
    assert run("estela-outbox", "list").out.endswith("is empty.\n")


def test_a_small_outbox_holds_the_crawl_back_until_the_queue_is_back(broker: Any, unique: str) -> None:
    broker.stop()
    crawl = Crawl(2_000, 1, ESTELA_ITEMS_TOPIC=unique, ESTELA_OUTBOX_MAX_BYTES=100_000)
    wait_until(lambda: "the crawl waits for the queue" in crawl.log, "a pause")
    held_at = crawl.scraped
    broker.start()
    stats = crawl.wait()

    assert held_at < 1_000
    assert numbers(unique) == Counter(range(2_000)), crawl.log
    assert stats["estela/pauses"] >= 1
    assert stats["paced/longest_pause"] < PAUSE


def test_a_killed_crawl_loses_at_most_its_last_burst_where_everything_goes_through_the_outbox(
    broker: Any, unique: str
) -> None:
    broker.stop()
    crawl = Crawl(20_000, 20, ESTELA_ITEMS_TOPIC=unique, ESTELA_OUTBOX="always")
    wait_until(lambda: crawl.scraped > 2_000, "some items")
    crawl.process.kill()
    killed = time.time()
    crawl.wait()
    broker.start()
    assert run("estela-outbox", "send").code == 0

    lines = [line.split() for line in Path("record").read_text().splitlines() if line.count(" ") == 1]
    safe = {int(number) for number, scraped in lines if float(scraped) < killed - 1.0}
    stored = numbers(unique)
    assert len(safe) > 500
    assert safe <= stored.keys()
    assert set(stored.values()) == {1}


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_a_signal_ends_a_crawl_in_time_and_what_it_has_stays_in_the_outbox(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, signals: list[signal.Signals]
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", f"127.0.0.1:{free_port()}")
    crawl = Crawl(1_000, 5, ESTELA_CLOSE_TIMEOUT=2)
    wait_until(lambda: crawl.scraped > 100, "some items")
    for number in signals:
        crawl.process.send_signal(number)
        wait_until(lambda: "shutdown" in crawl.log.lower() or "Received" in crawl.log, "the signal")
    crawl.wait(30)

    kept = [json.loads(json.loads(line)["text"]) for line in run("estela-outbox", "export").out.splitlines()]
    assert {letter["payload"]["n"] for letter in kept if "n" in letter["payload"]} >= set(range(100))
    assert f"{len(kept)} message(s) wait in the outbox" in crawl.log


def test_a_crawl_that_waits_for_the_queue_at_its_end_can_be_ended_by_force(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", f"127.0.0.1:{free_port()}")
    crawl = Crawl(10, 0.1, ESTELA_CLOSE_TIMEOUT=300)
    wait_until(lambda: "Closing spider" in crawl.log, "the end of the spider")
    crawl.process.send_signal(signal.SIGINT)
    wait_until(lambda: "shutting down gracefully" in crawl.log, "the first signal")
    crawl.process.send_signal(signal.SIGINT)
    crawl.wait(30)

    assert "11 message(s) wait in the outbox" in crawl.log  # and the closing record
    assert "the crawl was ended by force" in crawl.log


def test_a_topic_that_is_missing_costs_the_others_nothing_and_is_told(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with or_skip("Apache Kafka"):
        cluster = KafkaCluster(workdir / "kafka", more={"auto.create.topics.enable": "false"})
        cluster.start()
    try:
        for topic in ("items_topic", "jobs_topic"):
            create_topic(cluster.bootstrap_servers, topic, 1)
        monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
        monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", cluster.bootstrap_servers)
        crawl = Crawl(200, 0.1, ESTELA_REQUESTS_TOPIC="not_there", ESTELA_CLOSE_TIMEOUT=60)
        stats = crawl.wait()
        assert numbers("items_topic") == Counter(range(200)), crawl.log
    finally:
        cluster.stop()

    assert (stats["estela/outbox/rejected"], stats["estela/outbox/waiting"]) == (1, 0)
    assert "there is no topic not_there on Kafka" in crawl.log


def test_a_message_that_is_too_large_is_kept_in_the_outbox_with_the_reason(broker: Any, unique: str) -> None:
    crawl = Crawl(10, 0.1, ESTELA_ITEMS_TOPIC=unique, QUEUE_PLATFORM_MAX_REQUEST_SIZE=300)
    stats = crawl.wait()

    assert stats["estela/items/failed"] == 10
    assert stats["estela/outbox/rejected"] == 11, crawl.log  # and the closing record
    listed = run("estela-outbox", "list")
    assert "MessageSizeTooLargeError" in listed.out
    assert [json.loads(line)["messages"] for line in run("estela-outbox", "list", "--json").out.splitlines()]
    assert run("estela-outbox", "send").code == 0  # with the usual limit they fit
    assert numbers(unique) == Counter(range(10))
