"""`estela-dead-letters` as a user runs it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import Any

import pytest
from bson.objectid import ObjectId

from estela_queue_adapter import open_platform
from tests.consumer.commands import command, drain, envelope, exported, publish, run
from tests.faults.bad_messages import bad_anywhere

pytestmark = pytest.mark.processes


@pytest.mark.usefixtures("surroundings")
class TestEverywhere:
    def test_every_bad_message_between_good_ones_is_a_letter_with_its_reason(self, unique: str) -> None:
        bad = bad_anywhere(unique)
        values: list[Any] = []
        for number, (_, value) in enumerate(bad):
            values += [envelope({"n": number}, jid=f"1.s.{unique}"), value]
        publish(unique, values)

        result = drain(unique)
        listed = run("estela-dead-letters", "list", unique, "--json")

        assert result.code == 3, result.err
        stored = sorted(document["n"] for document in exported(f"{unique}/s-1-{unique}"))
        assert stored == list(range(len(bad)))
        counts: Counter[str] = Counter()
        for row in map(json.loads, listed.out.splitlines()):
            counts[row["reason"]] += row["letters"]
        assert counts == Counter(reason for reason, _ in bad)

    def test_a_letter_is_shown_whole_and_exported_with_its_message(self, unique: str) -> None:
        publish(unique, [{"jid": "no jid", "payload": {"name": "John"}}])
        drain(unique)

        [exported_letter] = map(json.loads, run("estela-dead-letters", "export", unique).out.splitlines())
        place = f"{exported_letter['partition']}:{exported_letter['offset']}"
        shown = run("estela-dead-letters", "show", unique, place)

        assert json.loads(exported_letter["text"])["payload"] == {"name": "John"}
        assert exported_letter["reason"] == "bad_name"
        assert shown.code == 0
        for words in ("bad_name", "'no jid' is not <job>.<spider>.<project>", '"name": "John"', place[2:]):
            assert words in shown.out

    def test_once_its_cause_is_mended_a_replayed_letter_is_stored_once_under_its_own_id(
        self, unique: str
    ) -> None:
        """Given two messages that met a document with their _id, one of them without an id of its own."""
        jid, taken = f"1.s.{unique}", str(ObjectId())
        publish(unique, [envelope({"n": 1}, jid=jid, id=taken)])
        drain(unique)
        publish(unique, [envelope({"n": 2}, jid=jid, id=taken), {"jid": "broken", "payload": {"n": 3}}])
        assert drain(unique).code == 3

        # When only the first kind is replayed, before anything is mended, it comes back as a letter.
        first = run("estela-dead-letters", "replay", unique, "--reason", "duplicate_id")
        assert (first.code, first.out) == (0, f"1 replayed to {unique}\n")
        assert drain(unique).code == 3
        letters = [json.loads(line) for line in run("estela-dead-letters", "export", unique).out.splitlines()]

        # Then it is one letter still, which says how often it was replayed.
        assert sorted((letter["reason"], letter["replays"]) for letter in letters) == [
            ("bad_name", 0),
            ("duplicate_id", 1),
        ]

    def test_a_replay_killed_again_and_again_brings_back_each_letter_exactly_once(self, unique: str) -> None:
        count = 600
        publish(unique, (envelope({"n": n}, jid="broken") for n in range(count)))
        drain(unique)

        for _ in range(4):
            process = subprocess.Popen(
                [*command("estela-dead-letters"), "replay", unique],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            before = _messages(unique)
            while process.poll() is None and _messages(unique) == before:
                pass
            process.kill()
            process.wait()
        last = run("estela-dead-letters", "replay", unique)

        assert last.code == 0, last.err
        assert _messages(unique) == 2 * count
        assert run("estela-dead-letters", "list", unique).out == f"{unique} has no dead letters.\n"

    def test_one_letter_is_chosen_by_its_place(self, unique: str) -> None:
        publish(unique, (envelope({"n": n}, jid="broken") for n in range(5)))
        drain(unique)
        letters = [json.loads(line) for line in run("estela-dead-letters", "export", unique).out.splitlines()]
        place = f"{letters[3]['partition']}:{letters[3]['offset']}"

        run("estela-dead-letters", "replay", unique, "--at", place)

        left = [json.loads(line) for line in run("estela-dead-letters", "export", unique).out.splitlines()]
        assert [letter["offset"] for letter in left] == [
            letter["offset"] for letter in letters if letter is not letters[3]
        ]


@pytest.mark.usefixtures("workdir")
class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["show", "topic", "nowhere"], "PARTITION:OFFSET"),
            (["show", "topic", "0:7"], "no dead letter of 0:7"),
            (["replay", "topic", "--reason", "bad_luck"], "bad_name"),
            (["list", "topic_dead_letters"], "name the topic they came from: topic"),
        ],
    )
    def test_a_wrong_argument_is_told_in_one_line(self, arguments: list[str], told: str) -> None:
        result = run("estela-dead-letters", *arguments)

        assert result.code == 2
        assert told in result.err
        assert "Traceback" not in result.err

    def test_a_queue_that_is_away_is_told_in_one_line(self) -> None:
        result = run(
            "estela-dead-letters", "list", "topic",
            QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1",
        )  # fmt: skip

        assert result.code == 4
        assert "127.0.0.1:1" in result.err
        assert "Traceback" not in result.err

    def test_without_letters_it_says_so(self) -> None:
        result = run("estela-dead-letters", "list", "topic")

        assert (result.code, result.out) == (0, "topic has no dead letters.\n")


@pytest.mark.usefixtures("on_servers")
def test_a_letter_topic_that_kafka_does_not_create_is_told_as_what_it_is(unique: str) -> None:
    # Given another topic whose name differs in "." and "_" alone, which Kafka does not allow.
    publish(f"{unique}.a_dead_letters", [b"x"])
    publish(f"{unique}_a", [b"rubbish"])

    result = run("estela-consume", f"{unique}_a", "--drain", "--json", "--max-wait", "2")

    assert result.code == 4
    [told] = result.errors
    assert f"the dead-letter topic {unique}_a_dead_letters does not exist" in told
    assert "Create it" in told
    assert "Check its name" not in result.err
    assert sum(result.summary["drain"]["remaining"][f"{unique}_a"].values()) == 1


def _messages(topic: str) -> int:
    return sum(1 for _ in open_platform().read(topic))
