"""What a consumer does when it is told to stop, and with settings at their extremes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.ports import wait_until
from tests.consumer.background import background
from tests.consumer.commands import command, drain, envelope, publish

pytestmark = pytest.mark.processes


@pytest.fixture
def hang_ups_are_heard() -> Iterator[None]:
    """Under nohup SIGHUP is ignored, here and in what is started here."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("workdir")
class TestSignals:
    @pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
    def test_half_way_it_is_exit_9_and_what_remains_is_told(
        self, name: str, tmp_path: Path, hang_ups_are_heard: None
    ) -> None:
        publish("topic", (envelope({"n": n}) for n in range(500)))

        with background("topic", tmp_path / "log", "--rate", "50") as draining:
            wait_until(draining.has_stored, "the first batch")
            draining.process.send_signal(signal.Signals[name])
            out, _ = draining.process.communicate(timeout=30)
        summary = json.loads(out)
        rest = drain("topic")

        assert (draining.process.returncode, summary["exit"], summary["stopped"]) == (9, "STOPPED", True)
        stored = summary["topics"]["topic"]["stored"]
        assert summary["drain"]["remaining"] == {"topic": {"0": 500 - stored}}
        assert summary["lag"] == {"topic": 500 - stored}
        assert not summary["drain"]["drained"]
        assert draining.says("STOPPED")()
        assert (rest.code, rest.summary["topics"]["topic"]["stored"]) == (0, 500 - stored)

    @pytest.mark.parametrize(("mode", "code"), [(["--drain"], 9), ([], 0)])
    def test_before_the_store_is_reached(self, mode: list[str], code: int, tmp_path: Path) -> None:
        publish("topic", [envelope({"n": 1})])
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [*command("estela-consume"), "topic", "--json", "--max-wait", "600", *mode],
                env={**os.environ, "DB_CONNECTION": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=500"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        wait_until(lambda: "Consuming from " in (tmp_path / "log").read_text(), "its first line")

        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)

        assert process.returncode == code
        assert json.loads(out)["drain"] == (
            None
            if not mode
            else {
                "drained": False,
                "remaining": {"topic": None},
                "messages_gone": {},
                "committed_beyond_end": {},
                "open_transaction": {},
            }
        )

    def test_a_second_one_ends_it_at_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DB_CONNECTION", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=60000")
        publish("topic", [envelope({"n": 1})])

        with background("topic", tmp_path / "log", "--max-wait", "600") as draining:
            wait_until(draining.says("Consuming from "), "its first line")
            draining.process.send_signal(signal.SIGTERM)
            wait_until(draining.says("A second signal ends the process at once"), "its answer to the first")
            draining.process.send_signal(signal.SIGTERM)

            assert draining.process.wait(30) == 128 + signal.SIGTERM

    def test_the_summary_for_people_says_it_in_words(self, tmp_path: Path) -> None:
        publish("topic", (envelope({"n": n}) for n in range(100)))

        with background("topic", tmp_path / "log", "--rate", "20", as_json=False) as draining:
            wait_until(draining.has_stored, "the first batch")
            draining.process.send_signal(signal.SIGINT)
            out, _ = draining.process.communicate(timeout=30)

        assert draining.process.returncode == 9
        assert "topic: not drained, up to" in out
        assert "exit 9 (STOPPED)" in out


@pytest.mark.usefixtures("workdir")
class TestSettingsAtTheirExtremes:
    def test_one_of_everything_and_no_waiting_still_stores_all(self) -> None:
        publish("topic", [*(envelope({"n": n}) for n in range(50)), b"rubbish"])

        result = drain(
            "topic",
            ESTELA_CHUNK_COUNT="1",
            ESTELA_CHUNK_BYTES="1",
            ESTELA_CHUNK_AGE="0",
            ESTELA_WRITERS="1",
            ESTELA_MAX_WAIT="0",
            ESTELA_GRACE="0",
        )

        assert result.code == 3, result.err
        assert result.summary["topics"]["topic"]["stored"] == 50

    def test_an_idle_consumer_leaves_the_processor_alone(self, tmp_path: Path) -> None:
        publish("topic", [envelope({"n": 1})])
        with background("topic", tmp_path / "log", "--chunk-age", "0", drain=False) as consumer:
            wait_until(consumer.has_stored, "its message")
            # It was nearly a whole core for ever; one that has just stored may have something left to do.
            wait_until(lambda: _spent_in(1.0, consumer.process.pid) < 0.15, "a consumer that is idle", 20)
            consumer.process.terminate()

            assert consumer.process.wait(30) == 0


def _spent_in(seconds: float, pid: int) -> float:
    before = _processor_seconds(pid)
    time.sleep(seconds)
    return _processor_seconds(pid) - before


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.usefixtures("workdir")
def test_a_name_that_no_topic_can_have_is_one_error_and_nothing_else() -> None:
    result = drain("x" * 245 + "ü", QUEUE_PLATFORM="embedded", DB_CONNECTION="sqlite:///.estela/store.db")

    assert (result.code, result.out) == (2, "")
    [line] = result.err.splitlines()
    assert " ERROR " in line
    assert "is not a name for a topic" in line


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("milliseconds", [1, 100, 300, 600, 1000])
def test_a_signal_in_the_first_moments_leaves_no_half_summary(milliseconds: int) -> None:
    publish("topic", [envelope({"n": 1})])
    process = subprocess.Popen(
        [*command("estela-consume"), "topic", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(milliseconds / 1000)

    process.terminate()
    out, err = process.communicate(timeout=30)

    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in err
    assert (process.returncode == 0) == bool(out)
    assert not out or json.loads(out)["exit"] == "OK"
