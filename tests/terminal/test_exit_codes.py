"""One number, one meaning, whichever command it is."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from estela_consumer import cli
from estela_terminal.exit_codes import ExitCode, ended_by, exit_codes_text

ROOT = Path(__file__).parents[2]
COMMANDS = (
    *(ROOT / "estela_consumer" / "cli").glob("*.py"),
    *(ROOT / "estela_scrapy" / "cli").glob("*.py"),
    *(ROOT / "estela_cli").rglob("*.py"),
    ROOT / "estela_demo" / "command.py",
)


def test_the_numbers_are_those_that_scripts_know() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0, "FAILED": 1, "USAGE": 2, "DEAD_LETTERS": 3, "QUEUE_UNREACHABLE": 4, "STORE_UNREACHABLE": 5,
        "TOPIC_MISSING": 6, "INCOMPLETE": 7, "NO_CLOSING_RECORD": 8, "STOPPED": 9, "COMMITTED_BEYOND_END": 10,
        "MESSAGES_GONE": 11, "OPEN_TRANSACTION": 12, "OUTPUT_FAILED": 13, "CUT_SHORT": 14,
        "PROBLEMS_FOUND": 15, "ACCESS_REFUSED": 16, "IN_USE": 17, "INTERRUPTED": 130,
    }  # fmt: skip


def test_ctrl_c_ends_a_command_as_shells_have_it() -> None:
    assert ended_by(signal.SIGINT) == ExitCode.INTERRUPTED
    assert ended_by(signal.SIGTERM) == 143


def test_no_command_ends_with_a_bare_number() -> None:
    ends = [(path.name, end) for path in COMMANDS for end in re.findall(r"exit\((.*)\)", path.read_text())]

    assert len(ends) > 8
    assert [(name, end) for name, end in ends if re.search(r"\d", end)] == []
    assert cli._USAGE == ExitCode.USAGE


def test_a_long_meaning_is_folded_below_itself() -> None:
    text = exit_codes_text({ExitCode.CUT_SHORT: "word " * 30, ExitCode.OK: "done"})

    first, second, *lines = text.splitlines()
    assert (first, second, lines[0]) == ("\b", "Exit codes:", "  0  OK         done")
    assert len(lines) > 2
    assert all(len(line) <= 78 for line in lines)
    assert all(line.startswith("                word") for line in lines[2:])
