"""`estela-queue` as an operator runs it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.protocol.consumer.group import JoinGroupRequest

from estela_cli.queue.command import queue as command
from estela_queue_adapter import Subscription, open_platform
from tests.consumer.commands import Result, drain, envelope, exported, publish, run

pytestmark = pytest.mark.processes

HOSTILE = "g\x1b[31m\u202e'; rm -rf /"


def queue(*arguments: str) -> Result:
    """The command in this process: a process of its own takes a second, and there are many."""
    root, out, err = logging.getLogger(), io.StringIO(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            command(list(arguments), prog_name="estela-queue")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("kafka").setLevel(logging.NOTSET)
    result = Result(int(end.value.code or 0), out.getvalue(), err.getvalue())
    assert "Traceback" not in result.err
    assert "\x1b" not in result.out + result.err
    assert "\u202e" not in result.out + result.err
    return result


def rows(*arguments: str) -> Iterator[dict[str, Any]]:
    result = queue(*arguments, "--json")
    assert result.code == 0, result.err
    return map(json.loads, result.out.splitlines())


@pytest.mark.usefixtures("surroundings")
def test_a_group_is_looked_at_sent_back_and_reads_again_what_is_stored_once(unique: str) -> None:
    jid, group = f"1.s.{unique}", f"{HOSTILE}{unique}"
    publish(unique, [envelope({"n": n}, jid=jid) for n in range(50)])
    assert drain(unique, QUEUE_PLATFORM_GROUP=group).code == 0

    [topic] = [row for row in rows("topics") if row["topic"] == unique]
    [found] = [row for row in rows("groups") if row["group"] == group]
    lags = list(rows("lag", unique))
    shown = queue("reset", unique, "--group", group, "--to", "-1h")
    untouched = sum(row["lag"] for row in rows("lag", unique))
    done = queue("reset", unique, "--group", group, "--to", "earliest", "--yes", "--json")
    [again] = [row for row in rows("groups") if row["group"] == group]

    assert topic["messages"] == sum(each["end"] - each["beginning"] for each in topic["partitions"]) == 50
    assert (found["state"], found["members"], found["topics"], found["lag"]) == ("Empty", 0, [unique], 0)
    assert {row["group"] for row in lags} == {group}
    assert [sum(row[name] for row in lags) for name in ("committed", "end", "lag")] == [50, 50, 0]
    assert shown.code == 0
    assert "Up to 50 messages would be read again" in shown.out
    assert "Nothing is changed yet; --yes does it." in shown.out
    assert untouched == 0
    assert (json.loads(done.out)["again"], json.loads(done.out)["done"]) == (50, True)
    assert again["lag"] == 50
    # Then the consumer finds them stored.
    consumed = drain(unique, QUEUE_PLATFORM_GROUP=group)
    assert consumed.summary["topics"][unique]["present"] == 50, consumed.err
    assert len(exported(f"{unique}/s-1-{unique}")) == 50
    # And one that is no longer used is removed.
    assert "Nothing is removed yet" in queue("groups", "--remove", group).out
    assert queue("groups", "--remove", group, "--yes").code == 0
    assert [row for row in rows("groups") if row["group"] == group] == []


@pytest.mark.usefixtures("surroundings")
def test_a_group_with_members_is_refused_with_the_reason(unique: str) -> None:
    publish(unique, [1])

    with open_platform().consumer(Subscription(topic=unique)) as consumer:
        while not consumer.poll(0.5, 1):
            pass
        consumer.commit(consumer.positions())
        refused = [
            queue("reset", unique, "--to", "earliest"),
            queue("reset", unique, "--to", "end", "--yes"),
            queue("groups", "--remove", f"group_{unique}", "--yes"),
        ]

    for result in refused:
        assert (result.code, result.out) == (17, ""), result
        assert f"the group group_{unique} has " in result.err
        assert "then try again" in result.err


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["reset", "{topic}", "--to", "tomorrow"], 2, "is not a time such as -1h"),
        (["reset", "{topic}", "--to", "2999-01-01"], 2, "is in the future"),
        (["reset", "{topic}", "--to", "-1h", "--group", "nobody"], 2, "there is no group nobody; none has"),
        (["reset", "{topic}x", "--to", "end"], 6, "there is no topic {topic}x"),
        (["reset", "a/b", "--to", "end"], 2, "not a name for a topic"),
        (["lag", "{topic}x"], 6, "there is no topic {topic}x"),
        (["lag", "--group", "nobody"], 2, "there is no group nobody"),
        (["groups", "--remove", "nobody", "--yes"], 2, "there is no group nobody"),
        (["groups", "--yes"], 2, "--yes belongs to --remove"),
        (["prune", "--older-than", "never"], 2, "is not a duration"),
        (["prune", "--without-group"], 2, "needs the topics by name"),
    ],
)
def test_what_cannot_be_is_one_line(unique: str, arguments: list[str], code: int, told: str) -> None:
    publish(unique, [1])

    result = queue(*(argument.format(topic=unique) for argument in arguments))

    assert (result.code, result.out) == (code, ""), result.err
    assert told.format(topic=unique) in " ".join(result.err.split())


@pytest.mark.usefixtures("workdir")
class TestPruning:
    def test_what_a_group_has_not_read_is_never_pruned_and_the_reason_says_how_to_go_on(self) -> None:
        publish("topic", [envelope({"n": n}) for n in range(30)])
        drain("topic")
        drain("topic", QUEUE_PLATFORM_GROUP=HOSTILE)
        publish("topic", [envelope({"n": n}) for n in range(30, 40)])
        drain("topic")

        refused = queue("prune", "--yes")
        partly = json.loads(queue("prune", "--yes", "--partial", "--json").out)

        assert refused.code == 17
        for words in (
            "has not read 10 messages of topic", "estela-consume topic --group", "groups --remove",
            "--partial",
        ):  # fmt: skip
            assert words in refused.err
        assert (partly["messages"], partly["done"]) == (30, True)
        assert partly["bytes_after"] <= partly["bytes_before"]
        # And once the group is gone, or has read it, all goes.
        assert queue("groups", "--remove", HOSTILE, "--yes").code == 0
        assert "Nothing is removed yet" in queue("prune").out
        assert json.loads(queue("prune", "--yes", "--json").out)["messages"] == 10
        assert next(rows("topics"))["messages"] == 0

    def test_retention_removes_on_the_way_what_all_have_read_and_names_who_has_not(self) -> None:
        publish("topic", [envelope({"n": n}) for n in range(30)])
        publish("unread", [1])
        drain("topic")
        drain("topic", QUEUE_PLATFORM_GROUP="gone")
        publish("topic", [envelope({"n": 30})])

        kept = run("estela-consume", "topic", "--drain", "--retention", "1d")
        old = run("estela-consume", "topic", "--drain", ESTELA_RETENTION="1s")

        assert "Retention" not in kept.err
        assert "Retention: 30 messages older than 1s removed" in old.err
        assert "1 messages of topic older than 1s are kept, as the group gone has not read them" in old.err
        assert {row["topic"]: row["messages"] for row in rows("topics")} == {"topic": 1, "unread": 1}


@pytest.mark.usefixtures("on_servers")
def test_kafka_is_pruned_by_its_own_retention_and_that_is_said(unique: str) -> None:
    publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}")])

    pruned = queue("prune", unique, "--yes")
    consumed = drain(unique, ESTELA_RETENTION="7d")

    assert pruned.code == 2
    assert "set the topic's retention.ms" in pruned.err
    assert consumed.code == 0
    assert consumed.err.count("ESTELA_RETENTION has no effect here") == 1


@pytest.mark.usefixtures("on_servers")
def test_a_group_of_another_protocol_is_shown_and_left_alone(unique: str, kafka: str) -> None:
    """Given a member whose protocol is that of Kafka Connect's workers."""
    publish(unique, [1])
    name = f"connect-{unique}"
    with _member(kafka, name, "connect"):
        [row] = [row for row in rows("groups") if row["group"] == name]
        listed = queue("groups")
        lag = queue("lag", "--group", name)
        refused = queue("reset", unique, "--group", name, "--to", "end", "--yes")

    assert (row["protocol"], row["lag"]) == ("connect", None)
    assert "(connect)" in listed.out
    assert (lag.code, lag.out) == (0, "No group has committed anything there.\n")
    assert refused.code == 17
    assert "is not one of consumers: its protocol is connect" in refused.err


@contextlib.contextmanager
def _member(kafka: str, group: str, protocol: str) -> Iterator[None]:
    """A member of a group that is not one of consumers."""
    client = KafkaAdminClient(bootstrap_servers=kafka)
    Protocol = JoinGroupRequest.JoinGroupRequestProtocol
    request = JoinGroupRequest(
        group_id=group, session_timeout_ms=20_000, rebalance_timeout_ms=20_000, member_id="",
        protocol_type=protocol, protocols=[Protocol(name="any", metadata=b"")], max_version=3,
    )  # fmt: skip

    async def join() -> Any:
        coordinator = await client._find_coordinator_id(group)
        return await client._manager.send(request, node_id=coordinator)

    assert client._manager.run(join).error_code == 0
    try:
        yield
    finally:
        client.close()


def test_a_queue_that_is_away_is_one_line(workdir: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", "127.0.0.1:1")
    for arguments in (["topics"], ["reset", "t", "--to", "end"]):
        result = queue(*arguments)

        assert result.code == 4
        assert "127.0.0.1:1" in result.err


@pytest.mark.usefixtures("workdir")
def test_it_is_a_command_of_its_own() -> None:
    publish("topic", [1])

    result = run("estela-queue", "topics")

    assert (result.code, result.out.split()) == (0, ["topic", "partitions", "messages", "topic", "1", "1"])
