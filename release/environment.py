"""An environment that was empty, and what is in it after one installation."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from release.report import run


class Environment:
    """A new virtual environment in a folder. CheckFailed if there can be none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run([sys.executable, "-m", "venv", folder], Path.cwd())
        self.python = self.script("python")
        self.before = frozenset(self._listed())  # pip, with some versions of Python more
        self._empty = self._bytes()

    def script(self, name: str) -> Path:
        """The path of a command."""
        return self.folder / "bin" / name

    def install(self, *arguments: str | Path) -> None:
        """Install by pip. CheckFailed if that fails, or if what is installed does not fit together."""
        pip: list[str | Path] = [self.python, "-m", "pip", "--disable-pip-version-check"]
        run([*pip, "install", "--quiet", *arguments], self.folder)
        run([*pip, "check"], self.folder)

    def versions(self) -> dict[str, str]:
        """What is installed but what the new environment had."""
        return {name: version for name, version in self._listed().items() if name not in self.before}

    def _listed(self) -> dict[str, str]:
        command: list[str | Path] = [
            self.python,
            "-m",
            "pip",
            "list",
            "--format=json",
            "--disable-pip-version-check",
        ]
        return {entry["name"].lower(): entry["version"] for entry in json.loads(run(command, self.folder))}

    def megabytes(self) -> float:
        """How much larger site-packages has become, in MB, without compiled bytecode."""
        return (self._bytes() - self._empty) / 1e6

    def _bytes(self) -> int:
        [site] = self.folder.glob("lib/python*/site-packages")
        return sum(
            path.stat().st_size
            for path in site.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )
