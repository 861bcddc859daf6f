"""`estela-consume --listen` as operators, Kubernetes and Prometheus see it: on real parts."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec

from devservers.kafka import create_topic
from devservers.mongodb import MongoReplicaSet, MongoStandalone
from devservers.ports import free_port, wait_until
from devservers.prometheus import Prometheus
from estela_consumer.monitoring.metrics import METRICS
from estela_queue_adapter import Outgoing, get_producer_interface, open_platform
from tests.conftest import or_skip
from tests.consumer.background import background
from tests.consumer.commands import envelope, publish, run
from tests.consumer.monitoring.view import seen
from tests.consumer.monitoring.watched import get
from tests.consumer.verification.ended_jobs import EndedJob

PARTITIONS = 4
pytestmark = [pytest.mark.processes, pytest.mark.servers]


@pytest.mark.usefixtures("surroundings")
def test_what_becomes_of_messages_is_seen_while_it_runs(unique: str, tmp_path: Path) -> None:
    sent = [envelope({"n": n}, jid=f"1.s.{unique}") for n in range(300)]
    same = envelope({"n": 0}, jid=f"1.s.{unique}", id="65b9f1a20000000000000001")
    publish(unique, [*sent, b"rubbish", same, same])
    with open_platform().transactions(unique) as transactions:
        transactions.publish([Outgoing(unique, None, b"key")])
    outcomes = {"stored": 301.0, "present": 1.0, "superseded": 0.0, "dead_lettered": 1.0, "tombstone": 1.0}

    with seen(unique, tmp_path) as view:
        wait_until(view.is_ready, "the consumer to be ready")
        wait_until(lambda: view.metric("messages_done_total") == 304.0, "all messages to be done")
        wait_until(lambda: view.metric("lag_messages") == 0.0, "the lag to be told")

        assert view.metric("messages_read_total", topic=unique) == 304.0
        for outcome, messages in outcomes.items():
            assert view.metric("messages_done_total", topic=unique, outcome=outcome) == messages
        assert view.metric("dead_letters_total", reason="undecodable") == 1.0
        assert (view.metric("read_bytes_total") or 0.0) > 300 * 40
        assert (view.metric("latency_seconds_count"), view.metric("outage")) == (
            303.0,
            0.0,
        )  # a tombstone is not stored
        assert view.code("/livez") == 200
        page = get(view.at, "/metrics")[1]
        assert set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)) == {metric.name for metric in METRICS}
        state = json.loads(get(view.at, "/status.json")[1])
        told = state["topics"][unique]
        assert told["dead_letters"] == {"undecodable": 1}
        sample = told["dead_letter_samples"]["undecodable"]
        assert (sample["value"], sample["replay"]) == (
            "rubbish",
            f"estela-dead-letters replay --reason undecodable {unique}",
        )
        view.consumer.process.send_signal(signal.SIGTERM)
        view.consumer.process.communicate(timeout=30)
        assert view.consumer.process.returncode == 0


def lag_as_kafka_tells(admin: KafkaAdminClient, topic: str) -> int:
    """As Kafka's own tools reckon it, without anything of ours."""
    group = f"group_{topic}"
    offsets = admin.list_group_offsets([group])[group]
    committed = {at: found.offset for at, found in offsets.items() if found.offset >= 0}
    parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    ends = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
    return sum(end.offset - committed.get(partition, 0) for partition, end in ends.items())


@pytest.mark.usefixtures("on_servers")
def test_under_load_the_lag_is_kafkas_own_of_the_last_seconds(
    unique: str, kafka: str, tmp_path: Path
) -> None:
    create_topic(kafka, unique, PARTITIONS)
    publish(unique, (envelope({"n": n}, jid=f"1.s.{unique}") for n in range(3_000)))
    known: list[tuple[float, int]] = []  # when Kafka said what
    looked: list[tuple[float, float]] = []  # when the metric said what
    done = threading.Event()

    def produce() -> None:
        with get_producer_interface() as producer:
            for n in range(100_000):
                if done.wait(0.01):
                    return
                producer.send(unique, envelope({"n": 3_000 + n}, jid=f"1.s.{unique}"))

    producing = threading.Thread(target=produce)
    with seen(unique, tmp_path, "--rate", "300") as view:
        wait_until(view.is_ready, "the consumer to be ready")
        producing.start()
        try:
            admin = KafkaAdminClient(bootstrap_servers=kafka)
            with contextlib.closing(admin):
                until = time.monotonic() + 8.0
                while time.monotonic() < until:
                    known.append((time.monotonic(), lag_as_kafka_tells(admin, unique)))
                    lag = view.metric("lag_messages")
                    if lag is not None:
                        looked.append((time.monotonic(), lag))
                    time.sleep(0.1)
        finally:
            done.set()
            producing.join()

    # On a busy machine both we and the consumer wait for Kafka's answers.
    answer = max(later - earlier for (earlier, _), (later, _) in pairwise(known))
    old = 5.0 + 2 * answer
    for at, lag in looked:
        recent = [value for then, value in known if at - old <= then <= at]
        assert min(recent) <= lag <= max(recent) or at - known[0][0] < old
    assert len({lag for _, lag in looked}) > 2  # it was asked again and again, under load
    assert looked[-1][1] > 0


def test_a_stopped_mongod_makes_it_unready_and_not_dead_until_it_is_back(
    unique: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with or_skip("mongod"):
        servers = MongoReplicaSet(workdir / "mongodb")
        servers.start()
    monkeypatch.setenv("DB_CONNECTION", servers.uri)
    [member] = servers.members
    try:
        publish(unique, [envelope({"n": 0}, jid=f"1.s.{unique}")])
        with seen(unique, workdir) as view:
            wait_until(view.is_ready, "the consumer to be ready")
            member.stop()
            wait_until(lambda: view.code("/readyz") == 503, "the outage to be seen, with nothing to write")
            assert "store: unavailable" in get(view.at, "/readyz")[1]
            publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}")])
            wait_until(view.consumer.says("Store unavailable"), "the outage to be told in the log")
            assert view.metric("outage", part="store") == 1.0
            assert view.code("/livez") == 200
            member.start()
            wait_until(view.is_ready, "the consumer to be ready again")
            wait_until(lambda: view.metric("messages_done_total") == 2.0, "the message to be stored")
            assert (view.metric("outage_seconds_total", part="store") or 0.0) > 0.0
            assert (view.metric("store_retries_total") or 0.0) > 0.0
            assert view.code("/livez") == 200
    finally:
        servers.stop()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a mongod, with a wrong password in it."""
    with or_skip("mongod"):
        server = MongoStandalone(tmp_path_factory.mktemp("locked"), "--auth")
        server.start()
    yield f"mongodb://crawler:wrong-7@{server.address}/?serverSelectionTimeoutMS=2000"
    server.stop()


def test_a_wrong_password_is_not_green_and_is_an_error_that_names_itself(
    unique: str, workdir: Path, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_CONNECTION", locked)
    publish(unique, [envelope({"n": n}, jid=f"1.s.{unique}") for n in range(7)])

    with seen(unique, workdir) as view:
        wait_until(view.consumer.says("the login is refused"), "the refusal to be told")
        wait_until(lambda: view.metric("lag_messages") == 7.0, "the lag to be known all the same")

        first = min(message.timestamp for message in open_platform().read(unique))
        assert view.metric("oldest_unread_timestamp_seconds") == pytest.approx(first, abs=0.001)
        assert view.code("/readyz") == 503
        assert "store: access refused" in get(view.at, "/readyz")[1]
        assert view.metric("access_refused", part="store") == 1.0
        assert view.code("/livez") == 200
        state = get(view.at, "/status.json")[1]
    assert "wrong-7" not in state
    assert json.loads(state)["sentence"].startswith("Store refuses us for ")
    assert " ERROR Store unavailable: " in (workdir / "log").read_text()


def test_with_auth_max_wait_a_refused_login_ends_it_with_a_code_of_its_own(
    unique: str, workdir: Path, locked: str
) -> None:
    publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}")])

    result = run("estela-consume", unique, "--auth-max-wait", "1.5", DB_CONNECTION=locked)

    assert result.code == 16, result.err
    assert "--auth-max-wait is over" in result.err
    assert "Traceback" not in result.err


def test_an_outage_is_no_refused_login_however_long_it_is(unique: str, workdir: Path) -> None:
    publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}")])
    url = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300"

    with background(
        unique, workdir / "log", "--auth-max-wait", "0.5", "--store", url, drain=False
    ) as consumer:
        wait_until(consumer.says("Store unavailable"), "the outage to be told")
        with pytest.raises(subprocess.TimeoutExpired):
            consumer.process.wait(2.0)


FROZEN = """
import sys, threading
from estela_consumer.monitoring import health
from estela_queue_adapter.platforms.embedded.consumer import EmbeddedConsumer

health.STALLED_AFTER = 2.0
poll = EmbeddedConsumer.fetch

def frozen(consumer, *arguments):
    found = poll(consumer, *arguments)
    if found:
        threading.Event().wait()
    return found

EmbeddedConsumer.fetch = frozen
from estela_consumer.cli.consume import main
main()
"""


def test_a_frozen_pipeline_is_dead(unique: str, workdir: Path) -> None:
    """A double is what freezes it: the real queue cannot be made to."""
    publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}")])
    at = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-c", FROZEN, unique, "--listen", at], stderr=subprocess.DEVNULL
    )
    try:
        codes = []

        def is_dead() -> bool:
            with contextlib.suppress(OSError):
                codes.append(get(at, "/livez")[0])
            return codes[-1:] == [503]

        wait_until(is_dead, "the frozen pipeline to be found dead")
        assert codes[0] == 200
        assert f"{unique}: no turn for" in get(at, "/livez")[1]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ("nonsense", "such as 127.0.0.1:8080"),
        ("taken", "listens there"),
    ],
)
def test_where_it_cannot_listen_it_does_not_start(unique: str, workdir: Path, listen: str, told: str) -> None:

    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}" if listen == "taken" else listen
        result = run("estela-consume", unique, "--listen", at)

    assert result.code == 2
    assert told in result.err
    assert "Traceback" not in result.err


@pytest.mark.usefixtures("on_servers")
def test_prometheus_scrapes_it_and_answers_a_query(
    unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_JOBS_TOPIC", f"{unique}-jobs")
    publish(unique, (envelope({"n": n}, jid=f"1.s.{unique}") for n in range(200)))
    EndedJob(f"1.books.{unique}", f"{unique}-jobs").close(finish_reason="shutdown")
    with seen(unique, tmp_path) as view:
        prometheus = Prometheus(tmp_path / "prometheus", [view.at])
        with or_skip("Prometheus"):
            prometheus.start()
        try:
            for query, expected in (
                ('up{job="estela"}', 1.0),
                ("sum(estela_consumer_messages_done_total)", 200.0),
                ("sum(max by (topic, partition) (estela_consumer_lag_messages))", 0.0),
                ('sum(estela_jobs_closed_total{spider="books",finish_reason="shutdown"})', 1.0),
                ('estela_consumer_latency_seconds_bucket{le="+Inf"}', 200.0),
            ):

                def is_answered(query: str = query, expected: float = expected) -> bool:
                    return [value for _, value in prometheus.query(query)] == [expected]

                wait_until(is_answered, query)
            assert [target["lastError"] for target in prometheus.targets()] == [""]
        finally:
            prometheus.stop()
