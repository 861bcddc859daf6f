"""The real commands, as subprocesses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from estela_queue_adapter import get_producer_interface, open_platform

_TIMEOUT = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON summary of `estela-consume --json`."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def errors(self) -> list[str]:
        """The log lines at ERROR, and whatever looks like a traceback."""
        return [line for line in self.err.splitlines() if " ERROR " in line or "Traceback" in line]


def command(name: str) -> list[str]:
    """How to start a console script of this very environment."""
    [script] = entry_points(group="console_scripts", name=name)
    return [sys.executable, "-c", f"from {script.module} import {script.attr}; {script.attr}()"]


def run(name: str, *arguments: str, **environ: str) -> Result:
    """Run a command to its end in the current directory."""
    done = subprocess.run(
        [*command(name), *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def drain(*topics: str, **environ: str) -> Result:
    """`estela-consume --drain --json`."""
    return run("estela-consume", *topics, "--drain", "--json", **environ)


def publish(topic: str, values: Iterable[Any]) -> None:
    """Send values to a topic, as JSON, or as they are where they are bytes."""
    with get_producer_interface() as producer:
        for value in values:
            producer.send(topic, value)


def envelope(payload: Any, jid: str = "1.spider.project", **more: Any) -> dict[str, Any]:
    """A message as estela's entrypoint writes it."""
    return {"jid": jid, "payload": payload, "unique": "False", **more}


def exported(dataset: str, *arguments: str, **environ: str) -> list[dict[str, Any]]:
    """The documents of a dataset, by `estela-data export`."""
    result = run("estela-data", "export", dataset, *arguments, **environ)
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def dead_letters(topic: str) -> list[tuple[bytes | None, dict[str, str]]]:
    """Every dead letter of a topic: the original bytes, and the headers."""
    return [
        (message.data, {name: (value or b"").decode() for name, value in message.headers})
        for message in open_platform().read(f"{topic}_dead_letters")
    ]
