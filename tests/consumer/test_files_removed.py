"""A consumer whose files are removed while it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from devservers.ports import wait_until
from tests.consumer.commands import command, drain, publish, run

pytestmark = pytest.mark.processes


def send(first: int, end: int) -> None:
    numbers = range(first, end)
    publish("items", [{"jid": "1.s.p", "id": f"{n:024x}", "payload": {"n": n}} for n in numbers])


def stored() -> int:
    """How many documents the store has, of the one dataset."""
    lines = run("estela-data", "list", "--json").out.splitlines()
    return int(json.loads(lines[0])["documents"]) if lines else 0


@pytest.mark.parametrize(
    ("removed", "left"), [("queue.db", 200), ("store.db", 100), ("", 100)], ids=["queue", "store", "folder"]
)
def test_nothing_is_committed_that_is_not_in_the_files_that_are_there(
    workdir: Path, removed: str, left: int
) -> None:
    folder = workdir / ".estela"
    send(0, 100)
    with (workdir / "log").open("w") as log:
        consumer = subprocess.Popen(
            [*command("estela-consume"), "items", "--chunk-age", "0.1", "--verbose"],
            env={**os.environ},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        wait_until(lambda: "up to 0:100" in (workdir / "log").read_text(), "the first messages")

        if removed:
            for file in folder.glob(f"{removed}*"):
                file.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)  # the consumer may be as quick
        send(100, 200)
        wait_until(lambda: folder.joinpath("store.db").exists() and stored() == left, "the others")
    finally:
        consumer.send_signal(signal.SIGTERM)
        code = consumer.wait(30)

    said = (workdir / "log").read_text()
    assert code == 0, said
    assert "was removed, moved or replaced while in use" in said
    after = drain("items")
    assert (after.code, after.summary["topics"]["items"]["read"], stored()) == (0, 0, left)
