"""Outputs that are closed, full, gone, or know few characters."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consumer.commands import Result, command, dead_letters, drain, envelope, publish

pytestmark = pytest.mark.processes

DATASET = "p/s-1-items"
PUBLISHED = 400  # more than a pipe holds
CLOSED, FULL, ENDED, NOT_FOR_WRITING = ">&-", ">/dev/full", "| true", "1</dev/null"


@pytest.fixture(scope="module", autouse=True)
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder with a drained topic, a dead letter and an outbox."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("outputs"))
        for name in [
            name for name in os.environ if name.startswith(("QUEUE_PLATFORM", "ESTELA_", "DB_", "COLUMNS"))
        ]:
            patch.delenv(name)
        patch.setenv("QUEUE_PLATFORM", "embedded")
        patch.setenv("DB_CONNECTION", "sqlite:///store.db")
        payloads = ({"n": n, "name": "Café 中文\x9b", "long": "x" * 200} for n in range(PUBLISHED))
        publish("items", [*(envelope(payload, "1.s.p") for payload in payloads), b"not json \xff"])
        assert drain("items").code == 3
        yield


def redirected(redirection: str, name: str, *arguments: str, **environ: str) -> Result:
    """Run it with its outputs as a shell makes them; `err` is what is left of standard error."""
    done = subprocess.run(
        ["bash", "-c", f'"$@" {redirection}; exit "${{PIPESTATUS[0]}}"', "bash", *command(name), *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))


def not_log(result: Result) -> list[str]:
    """The lines of standard error that are no lines of the log."""
    return [line for line in result.err.splitlines() if not line.startswith("20")]


def again() -> list[str]:
    """The arguments of a drain that reads everything once more."""
    return ["items", "--drain", "--group", uuid.uuid4().hex]


@pytest.mark.parametrize(
    ("redirection", "more"),
    [(CLOSED, []), (FULL, []), (NOT_FOR_WRITING, []), (ENDED, ["--json"]), (FULL, ["--json"])],
)
def test_a_drain_that_cannot_print_its_summary_ends_with_the_code_of_its_work(
    redirection: str, more: list[str]
) -> None:
    result = redirected(redirection, "estela-consume", *again(), *more)

    assert result.code == 3
    [line] = not_log(result)
    assert line.startswith("Error: standard output ")


def test_what_cannot_be_said_anywhere_changes_no_exit_code() -> None:
    for redirection in ("2>/dev/full", ">&- 2>&-"):
        assert redirected(redirection, "estela-consume", *again()).code == 3
        assert redirected(redirection, "estela-data", "show", "no/such").code == 2


@pytest.mark.parametrize(
    ("redirection", "name", "arguments"),
    [
        (FULL, "estela-data", ["list"]),
        (FULL, "estela-data", ["list", "--json"]),
        (FULL, "estela-data", ["show", DATASET]),
        (FULL, "estela-data", ["--help"]),
        (FULL, "estela-dead-letters", ["show", "items", f"0:{PUBLISHED}"]),
        (FULL, "estela-dead-letters", ["export", "items"]),
        (CLOSED, "estela-data", ["export", DATASET]),
        ("| head -1 >/dev/null", "estela-data", ["export", DATASET]),
        (CLOSED, "estela-dead-letters", ["list", "items"]),
    ],
)
def test_a_command_that_is_run_for_its_output_fails_if_that_is_not_whole(
    redirection: str, name: str, arguments: list[str]
) -> None:
    result = redirected(redirection, name, *arguments)

    assert result.code == 13
    [line] = result.err.splitlines()
    assert line.startswith("Error: standard output ")


def test_verify_says_how_a_job_stands_by_its_code_though_nobody_reads() -> None:
    assert redirected(FULL, "estela-verify", "1.s.p").code == 8


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "utf-16"},
    ],
)
def test_json_is_utf_8_whatever_the_locale_is(environ: dict[str, str]) -> None:
    exported = redirected("", "estela-data", "export", DATASET, **environ)
    letters = redirected("", "estela-dead-letters", "export", "items", **environ)

    assert (exported.code, letters.code) == (0, 0)
    lines = [json.loads(line) for line in exported.out.splitlines()]
    assert [line["name"] for line in lines] == ["Café 中文\x9b"] * PUBLISHED
    assert json.loads(letters.out)["reason"] == "undecodable"


def test_tables_show_what_an_encoding_has_no_character_for() -> None:
    shown = redirected("", "estela-data", "show", DATASET, "-n", "1", PYTHONIOENCODING="ascii")

    assert "Caf\\xe9 \\u4e2d\\u6587\\x9b" in shown.out
    assert shown.out.isascii()


def test_colours_that_are_asked_for_make_no_terminal_of_a_file() -> None:
    result = redirected("", "estela-consume", *again(), FORCE_COLOR="1")

    assert "\x1b" not in result.err
    assert "read, " not in result.err  # the line that is drawn
    assert "\x1b[1m" in result.out  # the titles of the table


@pytest.mark.parametrize("columns", ["20", "0", "many"])
def test_a_table_is_whole_however_wide(columns: str) -> None:
    result = redirected("", "estela-data", "list", COLUMNS=columns)

    assert result.code == 0
    cells = [line.split()[0] for line in result.out.splitlines()[1:]]
    assert "".join(cells).startswith(DATASET)


class Terminal:
    """A terminal in which a consumer runs, and all that it was sent."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [*command("estela-consume"), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", **environ},
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: bytes) -> None:
        deadline = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.02)

    def ended(self, *signals: signal.Signals) -> int:
        for number in signals:
            self._process.send_signal(number)
            time.sleep(0.3)
        code = self._process.wait(30)
        self._reader.join(5)
        return code

    def close(self) -> None:
        """Close the terminal's window."""
        os.close(self._ours)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # how a terminal says that its last user is gone
            while piece := os.read(self._ours, 65536):
                self.seen += piece


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT], [signal.SIGKILL]],
)
def test_the_cursor_is_there_however_the_consumer_ends(signals: list[signal.Signals]) -> None:
    terminal = Terminal("items", "--group", uuid.uuid4().hex)
    terminal.wait_for(b"already there")

    code = terminal.ended(*signals)

    assert code == 0 or abs(code) in {*signals, *(128 + number for number in signals)}
    assert b"\x1b[?25l" not in terminal.seen
    assert terminal.seen.endswith(b"\n")  # and the prompt begins in a line of its own


def test_a_terminal_that_is_closed_ends_no_drain() -> None:
    terminal = Terminal(*again(), "--chunk-count", "1", "--rate", "200")
    terminal.wait_for(b"a second")

    terminal.close()

    assert terminal.ended() == 3


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_a_terminal_without_colours_gets_none(environ: dict[str, str]) -> None:
    terminal = Terminal(*again(), **environ)

    assert terminal.ended() == 3
    assert b"\x1b[3" not in terminal.seen
    if "TERM" in environ:
        assert b"\x1b" not in terminal.seen


def test_a_replay_that_cannot_say_so_has_replayed_all_the_same() -> None:
    result = redirected(FULL, "estela-dead-letters", "replay", "items")

    assert result.code == 0
    assert dead_letters("items")[-1][0] is None  # the tombstone
    assert Path("store.db").exists()
