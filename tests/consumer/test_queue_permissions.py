"""The permissions that the documents name are enough, command by command."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka.admin import ACLOperation, ResourceType

from devservers.ports import free_port, wait_until
from devservers.secure_kafka import SecureKafka
from tests.consumer.background import background
from tests.consumer.commands import Result, drain, envelope, publish, run
from tests.consumer.monitoring.watched import get
from tests.consumer.verification.ended_jobs import EndedJob

pytestmark = pytest.mark.servers

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
USERS = {  # of the broker, to what the documents call the command
    "crawl": ["a crawl, `estela-outbox send`"],
    "consume": ["`estela-consume`"],
    "watch": ["`estela-consume`", "`estela-consume --listen`"],
    "verify": ["`estela-verify`"],
    "status": ["`estela-status`"],
    "look": ["`estela-dead-letters`"],
    "replay": [
        "`estela-dead-letters`",
        "`estela-dead-letters replay`, `edit`",
        "`estela-dead-letters replay`, `edit`, `discard`",
    ],
    "operate": ["`estela-queue`", "`estela-queue reset`", "`estela-queue groups --remove`"],
    "stranger": [],
}
KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    kafka = SecureKafka(tmp_path_factory.mktemp("kafka"), [*USERS, "reader"])
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


def permissions() -> list[list[str]]:
    """The rows of the table: command, operations, kind, name."""
    found = re.search(r"<!-- kafka permissions -->\n(.*)<!-- /kafka", OPERATIONS.read_text(), re.DOTALL)
    assert found
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()[2:]]


def set_login(broker: SecureKafka, user: str, monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for setting, value in {**broker.settings(user), **changes}.items():
        variable = "QUEUE_PLATFORM" if setting == "platform" else f"QUEUE_PLATFORM_{setting.upper()}"
        monkeypatch.setenv(variable, value)


@pytest.mark.usefixtures("workdir")
def test_each_command_works_with_the_permissions_that_the_documents_name(
    broker: SecureKafka, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command, operations, kind, name in permissions():
        for user in (user for user, commands in USERS.items() if command in commands):
            for operation in operations.split(", "):
                named = name.strip("`").replace("<topic>", unique)
                broker.allow(user, ACLOperation[operation.upper()], KINDS[kind], named)

    def come_as(user: str) -> None:
        set_login(broker, user, monkeypatch)

    come_as("crawl")
    job = EndedJob(f"1.s.{unique}", "jobs_topic")
    job.stream(unique, [{"n": 1}, {"n": 2, "big": 1 << 64}])
    job.close()
    come_as("consume")
    consumed = drain(unique)
    come_as("verify")
    verified = run("estela-verify", job.jid, "--json")
    come_as("status")
    status = run("estela-status", unique, "--json")
    examined = {}
    for user in ("crawl", "consume", "verify"):
        come_as(user)
        report = run("estela-scrapy", "doctor", "--json", ESTELA_ITEMS_TOPIC=unique, ESTELA_REQUESTS_TOPIC="")
        examined[user] = {
            check["subject"]: (check["state"], check["told"]) for check in json.loads(report.out)["checks"]
        }
    jobs_counted = {}
    for user in ("watch", "consume"):
        come_as(user)
        at = f"127.0.0.1:{free_port()}"
        with background(unique, tmp_path / f"{user}.log", "--listen", at, drain=False) as consumer:
            refused = consumer.says("Closing records are not counted in the metrics")

            def told(at: str = at, refused: Callable[[], bool] = refused) -> bool:
                with contextlib.suppress(OSError):
                    return refused() or "estela_jobs_closed_total{" in get(at, "/metrics")[1]
                return False

            wait_until(told, f"the jobs to be counted, or {user} to be refused")
            jobs_counted[user] = not refused()
    come_as("look")
    listed = run("estela-dead-letters", "list", unique, "--json")
    come_as("replay")
    replayed = run("estela-dead-letters", "replay", unique)
    come_as("consume")
    again = drain(unique)
    come_as("replay")
    discarded = run("estela-dead-letters", "discard", unique, "--because", "a test", "--yes")
    come_as("stranger")
    denied = [
        run("estela-queue", *arguments)
        for arguments in (("lag", unique), ("reset", unique, "--to", "end", "--yes"))
    ]
    come_as("operate")
    # A broker may count a consumer that has ended among the members for some seconds more.
    shown = ("reset", unique, "--to", "earliest")
    wait_until(lambda: run("estela-queue", *shown).code != 17, "the group to be empty")
    operated = [
        run("estela-queue", *arguments, "--json")
        for arguments in (
            ("topics",), ("lag", unique), ("reset", unique, "--to", "earliest", "--yes"),
            ("groups", "--remove", f"group_{unique}", "--yes"),
        )
    ]  # fmt: skip

    for user, permitted, state in (
        ("crawl", "this login may not read it", "problem"),
        ("consume", "exists", ""),
        ("verify", "this login may not write it", "note"),
    ):
        found = examined[user][f"topic {unique}"]
        assert permitted in found[1], (user, found)
        assert found[0] == (state or found[0])
    assert "problem" not in {state for state, _ in examined["consume"].values()}, examined["consume"]
    assert jobs_counted == {"watch": True, "consume": False}
    assert consumed.code == 3, consumed.err
    assert consumed.summary["topics"][unique]["stored"] == 1
    assert [stream["stored"] for stream in json.loads(verified.out)["streams"]] == [1], verified.err
    assert status.code == 0, status.err
    found_by_status = json.loads(status.out)
    assert [each["letters"] for each in found_by_status["dead_letters"]] == [1]
    assert [len(each["members"]) for each in found_by_status["topics"]] == [0]
    assert json.loads(listed.out)["letters"] == 1, listed.err
    assert replayed.code == 0, replayed.err
    assert again.summary["topics"][unique]["dead_lettered"] == 1, again.err
    assert discarded.code == 0, discarded.err
    assert [(each.code, "Traceback" in each.err) for each in denied] == [(16, False)] * 2, denied
    assert all("no permission for the topic" in each.err for each in denied)
    assert [each.code for each in operated] == [0] * 4, operated
    assert json.loads(operated[2].out)["again"] == 4  # with the mark of the transaction of the replay


@pytest.mark.usefixtures("workdir")
def test_with_auth_max_wait_the_queue_and_its_dead_letters_end_a_consumer_as_the_store_does(
    broker: SecureKafka, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def consume(**changes: str) -> Result:
        set_login(broker, "reader", monkeypatch, **changes)
        return run("estela-consume", unique, "--auth-max-wait", "2")

    set_login(broker, "owner", monkeypatch)
    publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}"), b"rubbish"])
    no_login, no_topic = consume(sasl_password="wrong-7"), consume()
    for kind, name in ((ResourceType.TOPIC, unique), (ResourceType.GROUP, f"group_{unique}")):
        broker.allow("reader", ACLOperation.READ, kind, name)
    broker.allow("reader", ACLOperation.DESCRIBE, ResourceType.TOPIC, f"{unique}_dead_letters")
    no_letters = consume()

    for result in (no_login, no_topic, no_letters):
        assert result.code == 16, result.err
        assert "--auth-max-wait is over" in result.err
        assert "Traceback" not in result.err
        assert "wrong-7" not in result.err
    assert "dead letters" in no_letters.err
