"""The bar on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from estela_terminal import bar
from estela_terminal.bar import Work


class Terminal(io.StringIO):
    """Takes what is drawn; once it is gone, nothing more."""

    gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


@pytest.fixture(autouse=True)
def _each_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar, "_INTERVAL", 0.0)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("columns", [80, 60, 30])
def test_on_a_terminal_each_step_is_drawn_in_one_line_and_removed_at_the_end(columns: int) -> None:
    terminal = Terminal()
    work = Work(Console(file=terminal, force_terminal=True, width=columns), "messages")

    assert list(work.count(iter(range(200)), 200)) == list(range(200))

    drawn = terminal.getvalue()
    assert "100 of 200" in drawn
    assert "50 %" in drawn
    assert "\x1b[2K" in drawn[-20:]  # the line is erased


def test_of_what_nobody_has_counted_only_the_count_is_drawn() -> None:
    terminal = Terminal()

    list(Work(Console(file=terminal, force_terminal=True, width=80), "documents").count(range(1_500)))

    assert "1,500 documents" in terminal.getvalue()
    assert "%" not in terminal.getvalue()


def test_in_a_file_nothing_is_drawn() -> None:
    file = io.StringIO()

    assert list(Work(Console(file=file), "messages").count(range(3), 3)) == [0, 1, 2]

    assert file.getvalue() == ""


def test_a_terminal_that_is_gone_meanwhile_does_not_end_the_work() -> None:
    terminal = Terminal()
    work, seen = Work(Console(file=terminal, force_terminal=True, width=80), "messages"), []

    for number in work.count(range(100), 100):
        terminal.gone = number > 10
        seen.append(number)

    assert seen == list(range(100))
