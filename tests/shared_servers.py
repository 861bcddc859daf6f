"""Kafka and mongod for a whole run: one of each, however many processes its tests run in."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from devservers.process import ServerProcess

_LOG_BYTES = 3000  # of what a server printed before it ended by itself


class SharedServers:
    """The servers of one run, under a folder that the run's first process makes and in the end removes.

    A test process that needs one starts it if no other has; it runs on when that process ends or crashes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[ServerProcess] = []  # kept: one that nobody holds is taken for forgotten

    @classmethod
    def of_a_new_run(cls) -> SharedServers:
        """Those of a run that begins: none yet."""
        return cls(Path(tempfile.mkdtemp(prefix="estela-tests-")))

    def address(self, name: str, start: Callable[[Path], tuple[str, list[ServerProcess]]]) -> str:
        """Where the server of this name is; `start` starts it in a folder. Blocks until it is there."""
        note = self.folder / f"{name}.json"
        with FileLock(self.folder / f"{name}.lock"):
            if not note.exists():
                address, processes = start(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)))
                self._started.extend(processes)
                pids = {process.pid: str(process.folder) for process in processes}
                note.write_text(json.dumps({"address": address, "pids": pids}))
            return str(json.loads(note.read_text())["address"])

    def ended(self) -> list[str]:
        """What to say of those that ended by themselves."""
        return [
            f"{name} ended before the tests did. It printed last:\n{_printed(folder)}"
            for name, pid, folder in self._noted()
            if not _is_server(pid, folder)
        ]

    def kill(self) -> None:
        """Kill them all, and remove what they had."""
        for _, pid, folder in self._noted():
            if _is_server(pid, folder):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)  # one may be writing its last

    def _noted(self) -> Iterator[tuple[str, int, Path]]:
        for note in sorted(self.folder.glob("*.json")):
            for pid, folder in json.loads(note.read_text())["pids"].items():
                yield note.stem, int(pid), Path(folder)


def _printed(folder: Path) -> str:
    return (folder / "output.log").read_text(errors="replace")[-_LOG_BYTES:]


def _is_server(pid: int, folder: Path) -> bool:
    """Whether the process runs, and is the one whose folder this is; where /proc is, a zombie is none."""
    with suppress(OSError):
        return str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
