"""An environment that was empty, and what is in it after one installation."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path

from release.report import CheckFailed, run

_NOT_OURS = {"pip", "setuptools", "wheel"}  # what a new environment may have


class Environment:
    """A new virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=True)
        self.python = self.script("python")
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
        """What is installed but what a new environment has."""
        listed = run(
            [self.python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"], self.folder
        )
        found = {entry["name"].lower(): entry["version"] for entry in json.loads(listed)}
        return {name: version for name, version in found.items() if name not in _NOT_OURS}

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

    def write_sbom(self, target: Path) -> int:
        """What is installed as a CycloneDX document; how many components that is."""
        tool: list[str | Path] = [sys.executable, "-m", "cyclonedx_py", "environment", self.python]
        # Reproducible: no time and no random number, so that the same packages make the same document.
        run([*tool, "--output-reproducible", "--of", "JSON", "--output-file", target], self.folder)
        document = json.loads(target.read_text(encoding="utf-8"))
        listed = {component["name"].lower() for component in document["components"]}
        if missing := self.versions().keys() - listed:
            raise CheckFailed(f"the SBOM does not name {', '.join(sorted(missing))}")
        return len(listed)
