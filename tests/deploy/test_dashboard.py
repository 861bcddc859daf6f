"""Prometheus takes each query of the dashboard, and a consumer under load has an answer to each."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml

from devservers.kafka import create_topic
from devservers.ports import free_port, wait_until
from devservers.prometheus import Prometheus, promtool
from estela_consumer.monitoring.metrics import METRICS
from estela_queue_adapter import get_producer_interface
from estela_wire.closing_record import ClosingRecord
from tests.conftest import or_skip
from tests.consumer.background import background
from tests.consumer.commands import envelope
from tests.deploy.dashboard import dashboard, metrics_of, queries
from tests.deploy.prometheus_rule import ALERTS

# What has nothing to show until a message becomes a dead letter, or a crawl ends.
EMPTY_IF_ALL_IS_WELL = {
    "Dead letters by reason",
    "Crawls that ended, by reason",
    "Since a crawl of each spider ended",
}


def test_it_shows_each_metric_there_is() -> None:
    shown = {name for query in queries() for name in metrics_of(query.expression)}

    assert shown == {metric.name for metric in METRICS}


def test_its_panels_have_places_and_names_of_their_own() -> None:
    panels = dashboard()["panels"]
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    assert "${datasource}" in json.dumps(panels)


@pytest.mark.processes
def test_prometheus_takes_each_query(tmp_path: Path) -> None:
    with or_skip("promtool"):
        program = promtool()
    rules = [{"record": f"query:{n}", "expr": query.expression} for n, query in enumerate(queries())]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    done = subprocess.run(
        [program, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


@pytest.mark.deploy
@pytest.mark.processes
def test_a_consumer_under_load_has_an_answer_to_each_query_and_no_false_alarm(
    unique: str, kafka: str, mongodb: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs_topic = f"{unique}_jobs"
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", kafka)
    monkeypatch.setenv("DB_CONNECTION", mongodb)
    monkeypatch.setenv("ESTELA_JOBS_TOPIC", jobs_topic)
    create_topic(kafka, unique, 4)
    create_topic(kafka, jobs_topic, 2)
    at = f"127.0.0.1:{free_port()}"
    with or_skip("Prometheus"):
        prometheus = Prometheus(workdir / "prometheus", [at], [ALERTS])
        prometheus.start()

    def unanswered() -> set[str]:
        return {query.panel for query in queries() if not prometheus.query(query.expression)}

    def alarms() -> list[str]:
        firing = prometheus.query('ALERTS{alertstate="firing"}')
        return [labels["alertname"] for labels, _ in firing]

    try:
        # Slower than what comes, so that there is a lag.
        with (
            background(unique, workdir / "log", "--listen", at, "--rate", "500", drain=False),
            load(unique, jobs_topic) as begin_what_is_wrong,
        ):
            wait_until(lambda: unanswered() == EMPTY_IF_ALL_IS_WELL, "an answer to each query", 90)
            assert alarms() == []
            begin_what_is_wrong()
            wait_until(lambda: not unanswered(), "an answer to those of what is wrong", 90)
            wait_until(lambda: alarms() == ["EstelaDeadLetters"], "the alert of dead letters alone", 30)
    finally:
        prometheus.kill()


@contextlib.contextmanager
def load(topic: str, jobs_topic: str) -> Iterator[Callable[[], None]]:
    """A thousand messages a second; once the function is called, bad ones among them, and crawls that end."""
    ended, wrong = threading.Event(), threading.Event()

    def produce() -> None:
        with get_producer_interface() as producer:
            for number in itertools.count():
                if ended.wait(0.001):
                    return
                producer.send(topic, envelope({"n": number}, jid=f"1.s.{topic}"))
                if wrong.is_set() and number % 100 == 0:
                    producer.send(topic, b"rubbish")
                    producer.send(jobs_topic, envelope(ended_crawl(number, topic)))

    producing = threading.Thread(target=produce)
    producing.start()
    try:
        yield wrong.set
    finally:
        ended.set()
        producing.join()


def ended_crawl(number: int, project: str) -> dict[str, object]:
    now = datetime.now(timezone.utc)
    return ClosingRecord(
        job=str(number), spider="s", project=project, finish_reason="finished", opened=now, closed=now,
        streams=(),
    ).to_payload()  # fmt: skip
