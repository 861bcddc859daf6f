"""`estela-consume` beside a test."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.consumer.commands import command


class Background:
    """A consumer that goes on beside the test, and what it has logged."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    def has_stored(self) -> bool:
        return re.search(r": [1-9][0-9,]* stored, ", self._log.read_text()) is not None

    def says(self, text: str) -> Callable[[], bool]:
        return lambda: text in self._log.read_text()


@contextlib.contextmanager
def background(
    topic: str, log: Path, *options: str, drain: bool = True, as_json: bool = True
) -> Iterator[Background]:
    flags = [flag for flag, wanted in (("--drain", drain), ("--json", as_json)) if wanted]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command("estela-consume"), topic, "--log-interval", "0.2", *options, *flags],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        yield Background(process, log)
    finally:
        process.kill()
        process.wait()
