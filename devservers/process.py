"""A server as a child process: started, stopped, killed, started again on the same data."""

from __future__ import annotations

import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path


class ServerProcess(ABC):
    """One server; its data live in `folder` and survive `stop` and `kill`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> list[str]:
        """What runs."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Return when it answers."""

    def launch(self) -> None:
        """Start it and return at once."""
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self) -> None:
        """Start it and return when it answers."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """End it in good order, as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process; raises RuntimeError if it was not started, or was ended."""
        if self._process is None:
            raise RuntimeError(f"{type(self).__name__} does not run")
        return self._process.pid

    def freeze(self) -> None:
        """Hold it: it keeps its connections and answers nothing, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def check_alive(self) -> None:
        """Raise RuntimeError, with what it printed, when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            printed = (self.folder / "output.log").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{type(self).__name__} ended with {self._process.returncode}:\n{printed}")

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _signal(self, what: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(what)
