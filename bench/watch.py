"""Measuring from outside: what is stored, seen by a client that takes no part."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK = 0.02  # seconds between two looks
_GIVE_UP = 600.0  # seconds without a new document


@dataclass(frozen=True, slots=True)
class Measured:
    """One drain."""

    rate: float
    """Documents a second, from the first that was seen stored to the last."""
    cpu: float = 0.0
    """Microseconds of the processes' CPU for each document, start and end included."""
    server_cpu: float = 0.0
    """Microseconds of mongod's CPU for each document."""
    peak: float = 0.0
    """Megabytes: the largest resident memory of one process."""


def steady_rate(stored: Callable[[], int], expected: int, alive: Callable[[], None]) -> float:
    """Documents a second from the first look that saw some until all are there. Blocks."""
    first: tuple[float, int] | None = None
    last = (time.monotonic(), 0)
    while True:
        alive()
        began = time.monotonic()
        count, now = stored(), time.monotonic()
        if count and first is None:
            first = (now, count)
        if count > last[1]:
            last = (now, count)
        if count >= expected:
            break
        if now - last[0] > _GIVE_UP:
            raise TimeoutError(f"{count:,} of {expected:,} documents, and no more for {_GIVE_UP:.0f} s")
        time.sleep(max(_LOOK, 5 * (now - began)))  # many collections take longer to look at
    assert first is not None
    if last[0] == first[0]:  # all at once: too few to tell
        return float(expected) / _LOOK
    return (last[1] - first[1]) / (last[0] - first[0])


class Process:
    """A process whose CPU and memory are noted."""

    def __init__(self, command: Sequence[str], environ: dict[str, str], log: Path) -> None:
        self._log = log
        self._peak = self._cpu = 0.0
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)

    def check(self) -> None:
        """Note the memory; raise RuntimeError with the end of its log where it has failed."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            self._peak = max(self._peak, int(found[1]) / 1024)
        if "State:\tZ" in status and self._end()[0]:
            raise RuntimeError(f"a process failed:\n{self._log.read_text(errors='replace')[-3000:]}")

    def wait(self) -> tuple[float, float]:
        """Wait for its end; its CPU seconds and its peak of memory in megabytes."""
        code, cpu = self._end()
        if code:
            raise RuntimeError(f"a process failed:\n{self._log.read_text(errors='replace')[-3000:]}")
        return cpu, self._peak

    def terminate(self) -> tuple[float, float]:
        """End it; what `wait` gives, whatever its exit code."""
        if self._process.returncode is None:
            self._process.kill()
        return self._end()[1], self._peak

    def _end(self) -> tuple[int, float]:
        if self._process.returncode is None:
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._cpu = usage.ru_utime + usage.ru_stime
        return self._process.returncode, self._cpu
