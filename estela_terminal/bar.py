"""A bar that says how much of something is done, on a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from estela_terminal.output import as_text, is_terminal

_WIDEST = 40  # columns
_INTERVAL = 0.1  # seconds between two pictures

T = TypeVar("T")


def bar(done: int, of: int, told: str = "") -> RenderableType:
    """The bar, its percentage, and some words behind it."""
    row = Table.grid(padding=(0, 1))
    percent = f"{done * 100 // of if of else 100} %"
    row.add_row(ProgressBar(total=max(of, 1), completed=done, width=_WIDEST), percent, as_text(told))
    return row


class Work:
    """Something that is done one by one, drawn on a terminal while it goes on. Used by one thread."""

    def __init__(self, console: Console, what: str, *, prints: bool = False) -> None:
        """`prints`: what is done is printed too, and where that goes to a terminal nothing is drawn."""
        self._console = console
        self._what = what
        self._is_drawn = (
            is_terminal(console.file)
            and not console.is_dumb_terminal
            and not (prints and is_terminal(sys.stdout))
        )

    def count(self, each: Iterable[T], of: int | None = None) -> Iterator[T]:
        """The same, counted on their way; `of` is how many there are, if that is known."""
        if not self._is_drawn:
            yield from each
            return
        live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        drawn_at = time.monotonic()
        with _gone_is_quiet():
            live.start()
        try:
            for done, one in enumerate(each, 1):
                yield one
                if time.monotonic() - drawn_at >= _INTERVAL:
                    drawn_at = time.monotonic()
                    with _gone_is_quiet():
                        live.update(self._picture(done, of), refresh=True)
        finally:
            with _gone_is_quiet():
                live.stop()

    def _picture(self, done: int, of: int | None) -> RenderableType:
        told = f"{done:,} {self._what}"
        return as_text(told) if of is None else bar(min(done, of), of, f"{done:,} of {of:,} {self._what}")


@contextlib.contextmanager
def _gone_is_quiet() -> Iterator[None]:
    """A terminal that is gone does not end the work."""
    with contextlib.suppress(OSError, ValueError):
        yield
