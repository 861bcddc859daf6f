"""`estela-consume` as a user runs it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from bson.objectid import ObjectId

from devservers.ports import wait_until
from estela_queue_adapter import get_consumer_interface
from tests.consumer.commands import command, dead_letters, drain, envelope, exported, publish, run

pytestmark = pytest.mark.processes


@pytest.mark.usefixtures("surroundings")
class TestEverywhere:
    def test_messages_of_estelas_entrypoint_land_where_its_readers_look(self, unique: str) -> None:
        topic = "job_items" + unique
        publish(topic, (envelope({"n": n, "a.b": 1}, jid=f"12.books.{unique}") for n in range(500)))

        first = drain(topic)
        again = drain(topic)

        assert (first.code, again.code) == (0, 0), first.err
        assert first.summary["topics"][topic]["stored"] == 500
        assert first.summary["lag"] == {topic: 0}
        assert again.summary["topics"][topic]["read"] == 0
        stored = exported(f"{unique}/books-12-{topic}", "--raw")
        assert sorted(document["n"] for document in stored) == list(range(500))
        assert all(ObjectId.is_valid(document["_id"]["$oid"]) for document in stored)
        assert all(document["a\\u002eb"] == 1 for document in stored)

    def test_reading_everything_again_with_another_group_stores_nothing_twice(self, unique: str) -> None:
        publish(unique, (envelope({"n": n}, jid=f"1.s.{unique}") for n in range(300)))
        drain(unique)

        again = drain(unique, QUEUE_PLATFORM_GROUP="another")

        assert again.code == 0
        assert again.summary["topics"][unique]["present"] == 300
        assert len(exported(f"{unique}/s-1-{unique}")) == 300

    def test_rubbish_between_two_good_messages_costs_itself_only(self, unique: str) -> None:
        good = [envelope({"n": n}, jid=f"1.s.{unique}") for n in range(2)]
        publish(unique, [good[0], b"rubbish \xff", good[1]])

        result = drain(unique)

        assert result.code == 3
        assert result.summary["exit"] == "DEAD_LETTERS"
        assert sorted(document["n"] for document in exported(f"{unique}/s-1-{unique}")) == [0, 1]
        [(data, headers)] = dead_letters(unique)
        assert data == b"rubbish \xff"
        assert headers["estela-reason"] == "undecodable"
        assert headers["estela-topic"] == unique
        assert {"estela-error", "estela-partition", "estela-offset", "estela-time"} <= set(headers)

    def test_a_document_that_the_store_refuses_is_a_dead_letter_with_its_original_bytes(
        self, unique: str
    ) -> None:
        same_id = str(ObjectId())
        jid = f"1.s.{unique}"
        publish(unique, [envelope({"n": n}, jid=jid, id=same_id) for n in (1, 1)])
        drain(unique)
        publish(unique, [envelope({"n": n}, jid=jid, id=same_id) for n in (1, 2)])

        result = drain(unique)

        assert result.code == 3
        counts = result.summary["topics"][unique]
        assert (counts["stored"], counts["present"], counts["dead_lettered"]) == (0, 1, 1)
        [(data, headers)] = dead_letters(unique)
        assert json.loads(data or b"")["id"] == same_id
        assert headers["estela-reason"] == "duplicate_id"

    def test_two_topics_are_read_at_once_each_with_its_own_group(self, unique: str) -> None:
        topics = [f"{unique}-a", f"{unique}-b"]
        for topic in topics:
            publish(topic, (envelope({"n": n}, jid=f"1.s.{unique}") for n in range(100)))

        both = drain(*topics)
        one = drain(topics[0])

        assert [both.summary["topics"][topic]["stored"] for topic in topics] == [100, 100]
        assert one.summary["topics"][topics[0]]["read"] == 0

    def test_a_unique_dataset_keeps_one_of_equal_items(self, unique: str) -> None:
        items = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3}]
        publish(unique, ({**envelope(item, jid=f"scj7.s.{unique}"), "unique": "True"} for item in items))

        result = drain(unique)

        assert result.code == 0
        assert len(exported(f"{unique}/s-scj7-{unique}")) == 2

    def test_sigterm_stores_what_is_in_hand_and_ends_with_zero(self, unique: str, tmp_path: Path) -> None:
        # It is given everything, and waits for a chunk to fill that never will. No event tells from outside
        # that messages are in its memory; what a busy machine has not read by then is still in the topic.
        for seconds in (2, 8, 32):
            topic = f"{unique}-{seconds}"
            publish(topic, (envelope({"n": n}, jid=f"1.s.{unique}") for n in range(50)))
            with (tmp_path / "log").open("wb") as log:
                process = subprocess.Popen(
                    [*command("estela-consume"), topic, "--chunk-age", "3600", "--json"],
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            wait_until(lambda: "into" in (tmp_path / "log").read_text(), "the consumer's first line")
            time.sleep(seconds)

            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)

            assert process.returncode == 0
            stored = json.loads(out)["topics"][topic]["stored"]
            with get_consumer_interface(topic=topic) as reader:
                assert stored + reader.lag() == 50
            if stored == 50:
                break
        assert stored == 50

    def test_killed_again_and_again_it_loses_nothing_and_stores_nothing_twice(
        self, unique: str, tmp_path: Path
    ) -> None:
        count, seed = 20_000, random.randrange(1 << 30)
        chance = random.Random(seed)
        publish(unique, (envelope({"n": n}, jid=f"1.s.{unique}") for n in range(count)))

        for _ in range(3):
            with (tmp_path / "log").open("wb") as log:
                process = subprocess.Popen(
                    [*command("estela-consume"), unique, "--chunk-count", "200"], stdout=log, stderr=log
                )
            time.sleep(chance.uniform(0.5, 1.5))  # a moment that nothing announces is the point
            process.kill()
            process.wait()
        result = drain(unique)

        assert result.code == 0, f"seed {seed}: {result.err}"
        stored = sorted(document["n"] for document in exported(f"{unique}/s-1-{unique}"))
        assert stored == list(range(count)), f"seed {seed}"


@pytest.mark.usefixtures("workdir")
class TestBadInput:
    def test_no_topic_is_a_usage_error(self) -> None:
        result = run("estela-consume")

        assert result.code == 2
        assert "TOPIC" in result.err

    @pytest.mark.parametrize(
        ("environ", "told"),
        [
            ({"QUEUE_PLATFORM": "rabbit"}, "embedded, kafka"),
            ({"QUEUE_PLATFORM": "kafka"}, "QUEUE_PLATFORM_LISTENERS"),
            ({"DB_CONNECTION": "postgres://h"}, "mongodb://"),
            ({"DB_CONNECTION": "sqlite://h"}, "sqlite:///relative"),
            ({"DB_ENGINE": "mongodb"}, "DB_ENGINE=mongodb"),
            ({"DB_ENGINE": "sqlserver"}, "Keep estela's own consumer"),
            ({"BATCH_SIZE_THRESHOLD": "many"}, "BATCH_SIZE_THRESHOLD=many"),
            ({"INSERT_TIME_THRESHOLD": "soon"}, "INSERT_TIME_THRESHOLD"),
            ({"WORKER_POOL": "0"}, "WORKER_POOL=0"),
            (
                {"QUEUE_PLATFORM": "kafka", "QUEUE_PLATFORM_LISTENERS": "h", "QUEUE_PLATFORM_PORT": "x"},
                "QUEUE_PLATFORM_PORT",
            ),
            ({"ESTELA_CHUNK_COUNT": "0"}, "--chunk-count"),
            ({"ESTELA_CHUNK_AGE": "nan"}, "--chunk-age"),
            ({"ESTELA_GRACE": "inf"}, "--grace"),
            ({"DB_CONNECTION": "mongodb://h/?connectTimeoutMS=soon"}, "connecttimeoutms"),
            ({"DB_CONNECTION": f"mongodb://h/?tls=true&tlsCAFile={__file__}"}, "DB_CONNECTION"),
            ({"DB_CONNECTION": "mongodb://h", "DB_CERTIFICATE_PATH": __file__}, "DB_CERTIFICATE_PATH"),
        ],
    )
    def test_a_wrong_setting_is_one_line_that_names_it(self, environ: dict[str, str], told: str) -> None:
        result = drain("topic", **environ)

        assert result.code == 2
        assert told in result.err.splitlines()[-1]
        assert "Traceback" not in result.err

    def test_a_name_that_no_topic_can_have_is_a_usage_error(self) -> None:
        result = drain("no such", QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="host")

        assert result.code == 2
        assert "'no such' is not a name for a topic" in result.err.splitlines()[-1]

    def test_a_topic_that_is_not_there_cannot_be_drained(self) -> None:
        result = drain("nothing")

        assert result.code == 6
        assert len(result.errors) == 1
        assert "nothing" in result.errors[0]

    def test_a_queue_that_is_away_is_given_up_in_time(self) -> None:
        began = time.monotonic()

        result = drain(
            "topic", QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1", ESTELA_MAX_WAIT="6"
        )

        assert result.code == 4
        assert time.monotonic() - began < 25  # with the start of the process; by default it waits for ever
        assert len(result.errors) == 1
        assert "127.0.0.1:1" in result.errors[0]

    def test_a_store_that_is_away_is_given_up_in_time_and_nothing_is_committed(self) -> None:
        publish("topic", [envelope({"n": 1})])

        result = drain("topic", DB_CONNECTION="mongodb://user:secret@127.0.0.1:1", ESTELA_MAX_WAIT="6")

        assert result.code == 5
        assert len(result.errors) == 1
        assert "127.0.0.1:1" in result.errors[0]
        assert "secret" not in result.err
        assert drain("topic").summary["topics"]["topic"]["stored"] == 1

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
    def test_a_folder_that_cannot_be_written_is_told(self, workdir: Path) -> None:
        publish("topic", [envelope({"n": 1})])
        (workdir / "locked").mkdir(mode=0o500)

        result = drain("topic", DB_CONNECTION="sqlite:///locked/store.db", ESTELA_MAX_WAIT="1")

        assert result.code == 5
        assert "locked/store.db" in result.errors[0]

    def test_the_embedded_parts_are_announced_loudly(self) -> None:
        publish("topic", [envelope({"n": 1})])

        result = drain("topic")

        assert ".estela/queue.db" in result.err
        assert ".estela/store.db" in result.err

    def test_estelas_variables_without_effect_are_named_in_one_warning(self) -> None:
        publish("topic", [envelope({"n": 1})])

        result = drain(
            "topic",
            MAX_RETRIES="5",
            QUEUE_MAX_TIMEOUT="300",
            QUEUE_BASE_TIMEOUT="x",
            HEARTBEAT_TICK="60",
            ACTIVITY_TIME_THRESHOLD="600",
            WORKER_POOL="50",
            INSERT_TIME_THRESHOLD="1",
        )

        assert result.code == 0
        [line] = [line for line in result.err.splitlines() if "no longer have an effect" in line]
        for name in ("MAX_RETRIES", "QUEUE_MAX_TIMEOUT", "QUEUE_BASE_TIMEOUT", "HEARTBEAT_TICK"):
            assert name in line
        assert "ACTIVITY_TIME_THRESHOLD" in line
        assert "WORKER_POOL" not in line
        assert "WORKER_POOL is taken as 32" in result.err

    def test_help_shows_the_variables_and_the_exit_codes(self) -> None:
        result = run("estela-consume", "--help")

        for word in (
            "DB_CONNECTION",
            "ESTELA_CHUNK_AGE",
            "DEAD_LETTERS",
            "STORE_UNREACHABLE",
            "QUEUE_PLATFORM",
        ):
            assert word in result.out
