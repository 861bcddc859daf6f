"""`estela-dead-letters discard` and `edit` as a user runs them, and `--since`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devservers.ports import wait_until
from estela_consumer.cli.dead_letters.edited_value import EditedValue, laid_out
from estela_consumer.cli.dead_letters.selection import wanted_letters
from estela_consumer.dead_letters.replay import DeadLetter, DeadLetterReader
from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization import deserialize
from estela_wire.headers import Origin
from tests.consumer.commands import Result, command, drain, envelope, exported, publish, run
from tests.consumer.verification.ended_jobs import EndedJob

pytestmark = pytest.mark.processes


def letters(topic: str, *arguments: str) -> list[dict[str, Any]]:
    """The letters of a topic, by `export`."""
    result = run("estela-dead-letters", "export", topic, *arguments)
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def place_of(letter: dict[str, Any]) -> str:
    return f"{letter['partition']}:{letter['offset']}"


def edit(topic: str, place: str, editor: str, **environ: str) -> Result:
    return run("estela-dead-letters", "edit", topic, place, VISUAL="", EDITOR=editor, **environ)


def editor(program: str) -> str:
    """An editor that is a line of Python; `path` is the draft."""
    return f"""{sys.executable} -c 'import pathlib,sys; path = pathlib.Path(sys.argv[1]); {program}'"""


@pytest.mark.usefixtures("surroundings")
def test_what_is_discarded_is_not_offered_again_and_can_be_sent_back_after_all(unique: str) -> None:
    job = EndedJob(f"1.s.{unique}", "jobs_topic")
    job.stream(unique, [{"n": 1}, {"n": 2, "big": 1 << 64}])
    job.close()
    drain(unique)
    [letter] = letters(unique)

    shown = run("estela-dead-letters", "discard", unique, "--because", "a test")
    untouched = letters(unique)
    done = run(
        "estela-dead-letters", "discard", unique, "--reason", letter["reason"], "--because", "a \x1b[1m test",
        "--yes",
    )  # fmt: skip
    # When the same message is read again, and refused again.
    run("estela-queue", "reset", unique, "--to", "earliest", "--yes")
    again = drain(unique)
    verified = run("estela-verify", job.jid, "--json")

    assert (shown.code, "Nothing is discarded yet; --yes discards these 1." in shown.out) == (0, True)
    assert len(untouched) == 1
    assert (done.code, done.out) == (0, f"1 discarded of {unique}: a \\x1b[1m test\n")
    assert again.summary["topics"][unique]["dead_lettered"] == 1
    assert letters(unique) == []
    assert run("estela-dead-letters", "replay", unique).out == f"0 replayed to {unique}\n"
    assert [each["discarded"] for each in letters(unique, "--discarded")] == ["a \x1b[1m test"]
    assert verified.code == 3, verified.out  # it is not stored: the books say so
    # Then it can be sent back all the same, and is a letter like any other.
    assert run("estela-dead-letters", "replay", unique, "--discarded").out == f"1 replayed to {unique}\n"
    drain(unique)
    [back] = letters(unique)
    assert (back["replays"], back["discarded"]) == (1, None)


@pytest.mark.usefixtures("surroundings")
def test_an_edited_letter_is_stored_and_no_letter_any_more(unique: str) -> None:
    publish(unique, [envelope({"n": n, "price": 1.5}, jid=jid) for n, jid in enumerate(("broken", "bad"))])
    publish(unique, [b"not JSON"])
    drain(unique)
    first, second, third = sorted(letters(unique), key=lambda letter: str(letter["text"]), reverse=True)

    def mend(letter: dict[str, Any], jid: str) -> Result:
        replaced = f'path.read_text().replace("{jid}", "1.s.{unique}")'
        return edit(unique, place_of(letter), editor(f"path.write_text({replaced})"))

    edits = [mend(first, "broken"), mend(second, "bad")]
    given = Path("value.json")
    given.write_text(json.dumps(envelope({"n": 2}, jid=f"1.s.{unique}")))
    edits.append(run("estela-dead-letters", "edit", unique, place_of(third), "--value", str(given)))

    assert [(each.code, each.out) for each in edits] == [(0, f"1 replayed to {unique}, changed\n")] * 3, edits
    assert letters(unique) == []
    assert drain(unique).code == 0
    assert sorted(each["n"] for each in exported(f"{unique}/s-1-{unique}")) == [0, 1, 2]
    assert given.exists()


@pytest.mark.usefixtures("workdir")
class TestHostileEditors:
    @pytest.fixture(autouse=True)
    def letter(self, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        publish("topic", [envelope({"n": 1}, jid="broken")])
        drain("topic")
        drafts = workdir / "drafts"
        drafts.mkdir()
        monkeypatch.setenv("TMPDIR", str(drafts))
        [letter] = letters("topic")
        return letter

    def drafts(self, workdir: Path) -> list[str]:
        return [path.read_text() for path in (workdir / "drafts").rglob("*.json")]

    @pytest.mark.parametrize(
        ("with_editor", "code", "told", "kept"),
        [
            ("true", 0, "The value is as it was", []),
            (editor("path.write_text(path.read_text() + chr(10))"), 0, "The value is as it was", []),
            (editor("path.write_text(chr(32))"), 3, "The draft is empty", []),
            (editor("path.write_text(chr(123))"), 3, "The draft is not JSON", ["{"]),
            (editor("path.write_bytes(bytes([255]))"), 3, "The draft is not", None),
            (editor("path.unlink()"), 3, "is gone", []),
            (editor("path.write_text(str(1)); sys.exit(3)"), 3, "ended with exit code 3", ["1"]),
            ("false", 3, "ended with exit code 1", []),
            ("sh -c 'kill -9 $$'", 3, "ended with signal 9", []),
            ("no-such-editor --wait", 2, "'no-such-editor' ($VISUAL, $EDITOR) cannot be started", []),
            ("/", 2, "cannot be started", []),
            ("'", 2, "is no command", []),
        ],
    )
    def test_nothing_is_sent_and_what_was_written_is_kept(
        self,
        letter: dict[str, Any],
        workdir: Path,
        with_editor: str,
        code: int,
        told: str,
        kept: list[str] | None,
    ) -> None:
        result = edit("topic", "0:0", with_editor)

        assert (result.code, told in result.out + result.err) == (code, True), result
        assert "Traceback" not in result.err
        assert letters("topic") == [letter]
        if kept is None:
            assert list((workdir / "drafts").rglob("*.json"))
        else:
            assert self.drafts(workdir) == kept
            assert [str(path) in result.err for path in (workdir / "drafts").rglob("*.json")] == [True] * len(
                kept
            )

    @pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
    def test_a_command_that_is_killed_while_the_editor_is_open_loses_nothing(
        self, letter: dict[str, Any], workdir: Path, ended_by: signal.Signals
    ) -> None:
        with_editor = editor('path.write_text("[1]"); import time; time.sleep(60)')
        with (workdir / "told").open("w") as told:
            process = subprocess.Popen(
                [*command("estela-dead-letters"), "edit", "topic", "0:0"],
                env={**os.environ, "VISUAL": "", "EDITOR": with_editor},
                stderr=told,
                start_new_session=True,
            )
        try:
            wait_until(lambda: self.drafts(workdir) == ["[1]"], "the draft")
            process.send_signal(ended_by)
            process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

        assert letters("topic") == [letter]
        assert self.drafts(workdir) == ["[1]"]
        if ended_by is signal.SIGINT:
            assert process.returncode == 130
            assert str(workdir / "drafts") in (workdir / "told").read_text()

    def test_a_letter_that_was_settled_meanwhile_is_not_sent_twice(self, workdir: Path) -> None:
        replay = f"{command('estela-dead-letters')[2]}"
        meanwhile = workdir / "meanwhile.py"
        meanwhile.write_text(
            "import subprocess, sys, pathlib\n"
            f"subprocess.run([sys.executable, '-c', {replay!r}, 'replay', 'topic'], check=True)\n"
            "pathlib.Path(sys.argv[1]).write_text('{}')\n"
        )

        result = edit("topic", "0:0", f"{sys.executable} {meanwhile}")

        assert result.code == 3
        assert "somebody has replayed or discarded it meanwhile. What was written is in" in result.err
        assert self.drafts(workdir) == ["{}"]
        assert len(list(open_platform().read("topic"))) == 2

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["edit", "topic", "0:7"], "no dead letter of 0:7"),
            (["edit", "topic", "0:0", "--value", "nowhere"], "--value nowhere cannot be read"),
            (["edit", "topic", "0:0", "--value", "."], "--value . cannot be read"),
            (["edit", "topic", "0:0", "--value", "/dev/null"], "--value is empty"),
            (["discard", "topic"], "Missing option '--because'"),
            (["discard", "topic", "--because", " "], "say why"),
            (["list", "topic", "--since", "soon"], "is not a time"),
        ],
    )
    def test_a_wrong_argument_is_told_in_one_line(
        self, letter: dict[str, Any], arguments: list[str], told: str
    ) -> None:
        result = run("estela-dead-letters", *arguments)

        assert (result.code, told in result.err) == (2, True), result.err
        assert "Traceback" not in result.err
        assert letters("topic") == [letter]


@given(st.binary() | st.text().map(str.encode))
def test_what_is_laid_out_for_the_eye_is_the_same_json(data: bytes) -> None:
    shown = laid_out(data)

    assert EditedValue(data=b"").is_like(b" \n")
    try:
        value = deserialize(data)
    except SerializationError:
        return
    assert deserialize(shown) == value or value != value


@pytest.mark.parametrize(
    ("data", "is_laid_out"),
    [
        (b'{"a":1.10,"b":"x y"}', False),
        (b'{"a":1,"a":2}', False),
        (b'{"a":[1,2]}', True),
        (b'{"a":"\\u00e9"}', False),
        (b"not JSON", False),
    ],
)
def test_json_that_would_be_written_otherwise_is_shown_as_it_is(data: bytes, is_laid_out: bool) -> None:
    assert (laid_out(data) != data) == is_laid_out


def test_since_a_time_also_what_does_not_say_when() -> None:
    now = time.time()

    def letter(became: str) -> DeadLetter:
        return DeadLetter(
            Origin("t", 0, 0, 0.0), "bad_name", "", became, 0, None, None, None, None, None, None, [], b""
        )

    def iso(moment: float) -> str:
        return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds")

    wanted = wanted_letters((), (), now - 60)

    assert [wanted(letter(each)) for each in (iso(now), iso(now - 61), "", "rubbish")] == [
        True, False, True, True,
    ]  # fmt: skip


@pytest.mark.usefixtures("workdir")
def test_the_newest_word_on_a_letter_counts() -> None:
    """Discarded, replayed after all, met again, discarded again."""
    publish("topic", [envelope({"n": 1}, jid="broken")])
    drain("topic")
    reader = DeadLetterReader(open_platform(), "topic")

    seen = []
    for _ in range(2):
        assert reader.discard(lambda _: True, "why") == 1
        assert reader.discard(lambda _: True, "again") == 0
        seen.append((len(list(reader.letters())), len(list(reader.letters(discarded=True)))))
        assert reader.replay(lambda _: True, discarded=True).replayed == 1
        seen.append((len(list(reader.letters())), len(list(reader.letters(discarded=None)))))
        drain("topic")

    assert seen == [(0, 1), (0, 0)] * 2
