"""What the checks of a release have found, printed as they go."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

_SHOWN = 15  # lines of a command that failed


class CheckFailed(Exception):
    """What is wrong, and what to do."""


class Report:
    """One line a check; what failed is told at once and counted."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.failed: list[str] = []

    @contextlib.contextmanager
    def check(self, what: str) -> Iterator[list[str]]:
        """The body fails by CheckFailed, and adds what is worth telling to the list."""
        notes: list[str] = []
        start = time.monotonic()
        try:
            yield notes
        except CheckFailed as failure:
            self.failed.append(what)
            self._line("FAILED", "red", what, start)
            self._tell(str(failure).splitlines())
        else:
            self._line("ok", "green", what, start)
        self._tell(notes)

    def _line(self, word: str, color: str, what: str, start: float) -> None:
        seconds = time.monotonic() - start
        self._console.print(f"[{color}]{word:6}[/] {what} ({seconds:.1f} s)", highlight=False, soft_wrap=True)

    def _tell(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.print(f"       {line}", markup=False, highlight=False, soft_wrap=True)


def run(
    command: Sequence[str | Path],
    cwd: Path,
    environ: dict[str, str] | None = None,
    allowed: tuple[int, ...] = (0,),
    timeout: float = 1200.0,
) -> str:
    """Its output, both streams. CheckFailed, with the end of it, for a code not allowed or a timeout."""
    told = " ".join(map(str, command))
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": "", **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CheckFailed(f"{told}: {error}") from error
    if done.returncode not in allowed:
        last = "\n".join(done.stdout.splitlines()[-_SHOWN:])
        raise CheckFailed(f"{told} ended with {done.returncode}:\n{last}")
    return done.stdout
