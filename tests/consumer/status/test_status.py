"""`estela-status` as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from devservers.ports import free_port, wait_until
from estela_queue_adapter import Subscription, open_platform
from estela_wire.heartbeat import Heartbeat
from tests.consumer.background import background
from tests.consumer.commands import Result, command, drain, envelope, publish, run
from tests.consumer.verification.ended_jobs import OPENED, EndedJob

pytestmark = pytest.mark.processes

_NOW = (datetime.now(timezone.utc) - OPENED) // timedelta(minutes=1) - 1
"""Minutes after which a job ends now, as `EndedJob.close` counts them."""


def beat(jobs_topic: str, jid: str, ago: float) -> None:
    sent = datetime.now(timezone.utc) - timedelta(seconds=ago)
    heartbeat = Heartbeat(sent=sent, opened=sent - timedelta(minutes=5), interval=30.0, published=40)
    publish(jobs_topic, [envelope(heartbeat.to_payload(), jid)])


def status(*arguments: str, unique: str) -> Result:
    return run("estela-status", *arguments, "--jobs-topic", f"jobs-{unique}", COLUMNS="250")


@pytest.mark.usefixtures("surroundings")
def test_it_tells_of_topics_dead_letters_and_jobs_and_takes_part_in_nothing(unique: str) -> None:
    jobs_topic = f"jobs-{unique}"
    complete, keyed = (EndedJob(f"{number}.s.{unique}", jobs_topic) for number in "12")
    complete.stream(unique, [{"n": n} for n in range(7)])
    keyed.stream(unique, [{"sku": 1}], key=("sku",), on_existing="keep", dataset_name="shop")
    complete.close(scraped=7, later=_NOW)
    keyed.close(scraped=1, later=_NOW)
    publish(unique, [b"<script>alert(1)</script> \x1b[31m"])
    drain(unique)
    late = EndedJob(f"3.s.{unique}", jobs_topic)
    late.stream(unique, [{"n": n} for n in range(4)])
    late.close(scraped=4, later=_NOW)
    beat(jobs_topic, f"4.s.{unique}", 10.0)
    beat(jobs_topic, f"5.s.{unique}", 500.0)

    result = status(unique, f"{unique}-missing", "--json", unique=unique)
    table = status(unique, unique=unique)

    assert (result.code, table.code) == (0, 0), result.err
    found = json.loads(result.out)
    topic, missing = found["topics"]
    assert sum(each["lag"] for each in topic["partitions"]) == 4
    assert sum(each["end"] for each in topic["partitions"]) == 13
    assert topic["members"] == []
    assert topic["rate"] == topic["incoming"] == 0
    assert missing["exists"] is False
    [letter] = found["dead_letters"]
    assert (letter["reason"], letter["letters"]) == ("undecodable", 1)
    assert letter["replay"] == f"estela-dead-letters replay {unique} --reason undecodable"
    assert "\\x1b[31m" in letter["sample"]
    states = {job["jid"].partition(".")[0]: job["state"] for job in found["jobs"]}
    assert states == {"1": "complete", "2": "ended", "3": "on its way", "4": "running", "5": "silent"}
    assert f"{unique}: 4 messages to come, and no consumer reads it" in [found["sentence"], *found["more"]]
    assert {each["dataset"]: each["documents"] for each in found["datasets"]}[f"{unique}/shop"] == 1
    assert "\x1b" not in table.out
    assert f"4.s.{unique}" in table.out
    platform = open_platform()
    assert not platform.members(Subscription(topic=unique))
    assert [each.partitions for each in platform.examine([f"{unique}-missing"])] == [0]


@pytest.mark.usefixtures("surroundings")
def test_a_group_with_a_member_is_told_and_what_it_does(unique: str, tmp_path: Path) -> None:
    publish(unique, [envelope({"n": n}) for n in range(50)])
    with background(unique, tmp_path / "log", "--group", f"g-{unique}", drain=False) as consumer:
        wait_until(consumer.has_stored, "the messages")
        found = json.loads(status(unique, "--group", f"g-{unique}", "--json", unique=unique).out)

    [topic] = found["topics"]
    assert topic["group"] == f"g-{unique}"
    assert len(topic["members"]) == 1
    assert 0 in topic["members"][0]["partitions"]


@pytest.mark.usefixtures("workdir")
class TestEmbedded:
    def test_it_creates_nothing(self, workdir: Path) -> None:
        result = run("estela-status", "items_topic", "--json")

        assert result.code == 0, result.err
        assert json.loads(result.out)["sentence"] == "items_topic does not exist yet"
        assert list(workdir.iterdir()) == []

    def test_a_store_or_queue_that_is_unavailable_has_an_exit_code_and_the_rest_is_told(self) -> None:
        publish("t", [envelope({"n": 1})])
        nowhere = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=500"

        no_store = run("estela-status", "t", "--json", DB_CONNECTION=nowhere)
        no_queue = run(
            "estela-status", "t", "--json", QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1",
            QUEUE_PLATFORM_PORT=str(free_port()),
        )  # fmt: skip

        assert (no_store.code, no_queue.code) == (5, 4), no_store.err + no_queue.err
        store, queue = json.loads(no_store.out), json.loads(no_queue.out)
        assert re.fullmatch(r"Store unavailable for \d+ s, nothing lost", store["sentence"])
        assert store["topics"][0]["partitions"][0]["lag"] == 1
        assert re.fullmatch(r"Queue unavailable for \d+ s, nothing lost", queue["sentence"])
        assert queue["topics"][0]["exists"] is None

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["t", "--listen", "nonsense"], "no address"),
            (["t", "--listen", "127.0.0.1:0", "--once"], "choose one"),
            (["bad/topic"], "bad/topic"),
            ([], "Missing argument"),
        ],
    )
    def test_a_mistake_is_one_line(self, arguments: list[str], told: str) -> None:
        result = run("estela-status", *arguments)

        assert result.code == 2
        assert told in result.err
        assert "Traceback" not in result.err

    def test_the_page_is_served_until_a_signal(self, workdir: Path) -> None:
        publish("t", [envelope({"n": 1})])
        address = f"127.0.0.1:{free_port()}"
        with (workdir / "log").open("w") as log:
            process = subprocess.Popen(
                [*command("estela-status"), "t", "--listen", address], stderr=log, env=os.environ
            )
        try:
            wait_until(lambda: "Status at http://" in (workdir / "log").read_text(), "the server")
            wait_until(lambda: "1 message to come" in get(f"http://{address}/"), "the first look")
            found: dict[str, Any] = json.loads(get(f"http://{address}/status.json"))
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(f"http://{address}/", method="POST"))
            process.send_signal(signal.SIGTERM)

            assert process.wait(60) == 0
        finally:
            process.kill()
        assert found["topics"][0]["topic"] == "t"
        with refused.value:
            assert refused.value.code == 405
        assert "Traceback" not in (workdir / "log").read_text()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        text: str = response.read().decode()
    return text


@pytest.mark.usefixtures("workdir")
def test_a_consumer_has_the_page_of_its_group(workdir: Path, unique: str) -> None:
    publish(unique, [*(envelope({"n": n}) for n in range(50)), b"<script>alert(1)</script>"])
    beat("jobs_topic", "4.s.p", 10.0)
    address = f"127.0.0.1:{free_port()}"
    with background(unique, workdir / "log", "--listen", address, drain=False) as consumer:
        wait_until(consumer.has_stored, "the messages")
        wait_until(lambda: "4.s.p" in get(f"http://{address}/"), "a look at the group")
        page = get(f"http://{address}/")

    assert "50 stored, 1 dead-lettered" in page
    assert "1 dead letter." in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "1 consumer" in page
    assert f"estela-dead-letters replay {unique} --reason undecodable" in page
    assert "Traceback" not in (workdir / "log").read_text()
