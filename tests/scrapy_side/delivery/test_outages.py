"""Crawls while the queue is unavailable or refuses what they send; `tests/faults` has more of these."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devservers.kafka import KafkaCluster, create_topic
from devservers.ports import free_port, wait_until
from tests.conftest import or_skip
from tests.consumer.commands import run
from tests.scrapy_side.crawls import published
from tests.scrapy_side.paced_crawl import PacedCrawl
from tests.scrapy_side.reactors import ASYNCIO, WITHOUT_REACTOR

pytestmark = pytest.mark.servers

PAUSE = 4.0  # seconds: a reactor that waits for the network stands still for five or more


def crawl_of(items: int, seconds: float, **settings: Any) -> PacedCrawl:
    return PacedCrawl(Path.cwd(), items, seconds, **settings)


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


def test_a_crawl_without_a_queue_ends_in_time_and_estela_outbox_sends_it_all_later(
    broker: Any, unique: str
) -> None:
    broker.stop()
    crawl = crawl_of(500, 1, ESTELA_ITEMS_TOPIC=unique, ESTELA_CLOSE_TIMEOUT=3)
    stats = crawl.wait()
    assert crawl.process.returncode == 0
    assert stats["elapsed_time_seconds"] < 1 + PAUSE
    assert stats["estela/outbox/waiting"] == 500
    [line] = [
        line for line in crawl.log.splitlines() if "501 message(s) wait in the outbox" in line
    ]  # and the closing record
    assert f"estela-outbox --path {Path('.estela/outbox.db').absolute()} send" in line

    unavailable = run("estela-outbox", "send", "--max-wait", "1")
    assert unavailable.code == 4
    assert "501 still wait" in unavailable.out
    assert "Traceback" not in unavailable.err
    broker.start()
    done = run("estela-outbox", "send")

    assert (done.code, done.out.splitlines()[-1].split(" to ")[0]) == (0, "501 sent"), done.err
    assert numbers(unique) == Counter(range(500))
    assert run("estela-outbox", "list").out.endswith("is empty.\n")


def test_a_small_outbox_holds_the_crawl_back_until_the_queue_is_back(broker: Any, unique: str) -> None:
    broker.stop()
    crawl = crawl_of(2_000, 1, ESTELA_ITEMS_TOPIC=unique, ESTELA_OUTBOX_MAX_BYTES=100_000)
    wait_until(lambda: "Crawl paused" in crawl.log, "a pause")
    held_at = len(crawl.scraped)
    broker.start()
    stats = crawl.wait()

    assert held_at < 1_000
    assert numbers(unique) == Counter(range(2_000)), crawl.log
    assert stats["estela/pauses"] >= 1
    assert stats["paced/longest_pause"] < PAUSE


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_a_signal_ends_a_crawl_in_time_and_what_it_has_stays_in_the_outbox(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, signals: list[signal.Signals]
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", f"127.0.0.1:{free_port()}")
    crawl = crawl_of(1_000, 5, ESTELA_CLOSE_TIMEOUT=2)
    wait_until(lambda: len(crawl.scraped) > 100, "some items")
    for number in signals:
        crawl.process.send_signal(number)
        wait_until(lambda: "shutdown" in crawl.log.lower() or "Received" in crawl.log, "the signal")
    crawl.process.wait(30)

    kept = [json.loads(json.loads(line)["text"]) for line in run("estela-outbox", "export").out.splitlines()]
    assert {letter["payload"]["n"] for letter in kept if "n" in letter["payload"]} >= set(range(100))
    assert f"{len(kept)} message(s) wait in the outbox" in crawl.log
    [record] = [letter["payload"] for letter in kept if "finish_reason" in letter["payload"]]
    assert record["finish_reason"] == ("shutdown" if len(signals) == 1 else "forced")
    assert record["streams"][0]["published"] == len(kept) - 1


@pytest.mark.parametrize("reactor", [pytest.param(ASYNCIO, id="asyncio"), WITHOUT_REACTOR])
def test_a_crawl_that_waits_for_the_queue_at_its_end_can_be_ended_by_force(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, reactor: dict[str, Any]
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", f"127.0.0.1:{free_port()}")
    crawl = crawl_of(10, 0.1, ESTELA_CLOSE_TIMEOUT=300, **reactor)
    wait_until(lambda: "Closing spider" in crawl.log, "the end of the spider")
    crawl.process.send_signal(signal.SIGINT)
    wait_until(lambda: "shutting down gracefully" in crawl.log, "the first signal")
    crawl.process.send_signal(signal.SIGINT)
    crawl.process.wait(30)

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
        crawl = crawl_of(200, 0.1, ESTELA_REQUESTS_TOPIC="not_there", ESTELA_CLOSE_TIMEOUT=60)
        stats = crawl.wait()
        assert numbers("items_topic") == Counter(range(200)), crawl.log
    finally:
        cluster.stop()

    assert (stats["estela/outbox/rejected"], stats["estela/outbox/waiting"]) == (1, 0)
    assert "there is no topic not_there on Kafka" in crawl.log


def test_a_message_that_is_too_large_is_kept_in_the_outbox_with_the_reason(broker: Any, unique: str) -> None:
    crawl = crawl_of(10, 0.1, ESTELA_ITEMS_TOPIC=unique, QUEUE_PLATFORM_MAX_REQUEST_SIZE=300)
    stats = crawl.wait()

    assert stats["estela/items/failed"] == 10
    assert stats["estela/outbox/rejected"] == 10, crawl.log
    assert "The queue refused 11 message(s)" in crawl.log  # and the closing record
    listed = run("estela-outbox", "list")
    assert "maximum request size" in listed.out
    assert [json.loads(line)["messages"] for line in run("estela-outbox", "list", "--json").out.splitlines()]
    assert run("estela-outbox", "send").code == 0  # with the usual limit they fit
    assert numbers(unique) == Counter(range(10))
