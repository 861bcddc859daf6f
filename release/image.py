"""The lines of the Dockerfile, run without an engine: in a folder instead of a container.

It shows that each path is there, that the locks install with their hashes, and that what comes out works.
What it cannot show is the base image: the Python is this machine's, and what needs root is left out by name.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from release.report import CheckFailed, run

NEEDS_ROOT = ("useradd",)
_ROOTS = re.compile(r"(?<![\w./])/(?=(?:opt|src|home)\b)")


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, and the stage that it belongs to."""

    stage: str
    name: str
    arguments: str


def instructions(dockerfile: str) -> Iterator[Instruction]:
    """Those of its stages, in their order. Raises ValueError if a stage has no name."""
    stage = ""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE))
    for line in filter(str.strip, joined.splitlines()):
        name, _, arguments = line.strip().partition(" ")
        if name == "FROM":
            base, as_, stage = [*arguments.split(), "", ""][:3]
            if as_ != "AS":
                raise ValueError(f"the stage FROM {base} has no name")
        yield Instruction(stage, name, " ".join(arguments.split()))


def stages_for(target: str, dockerfile: str) -> set[str]:
    """The stages that a target is made of, itself among them."""
    needed: dict[str, set[str]] = {}
    for one in instructions(dockerfile):
        stage = needed.setdefault(one.stage, set())
        if one.name == "FROM":
            stage.add(one.arguments.split()[0])
        if copied := re.match(r"--from=(\S+)", one.arguments):
            stage.add(copied[1])
    if target not in needed:
        raise ValueError(f"there is no stage {target}")
    found, waiting = set(), [target]
    while waiting:
        if (name := waiting.pop()) in needed and name not in found:
            found.add(name)
            waiting += needed[name]
    return found


class Image:
    """A target of the Dockerfile, made in a folder. All its stages share the folder."""

    def __init__(self, context: Path, target: str, root: Path) -> None:
        self._context = context
        self._root = root
        self._folder = root
        self._environ: dict[str, str] = {}
        self.command: list[str] = []
        self.healthcheck: list[str] = []
        text = (context / "Dockerfile").read_text(encoding="utf-8")
        wanted = stages_for(target, text)
        for one in instructions(text):
            if one.stage in wanted:
                self._do(one)

    def run(self, *command: str) -> str:
        """What a command prints that is run as in the container. CheckFailed if it fails."""
        return run(["sh", "-c", shlex.join(command)], self._folder, self._environ)

    def _do(self, one: Instruction) -> None:
        match one.name:
            case "WORKDIR":
                self._folder = self._root / one.arguments.lstrip("/")
                self._folder.mkdir(parents=True, exist_ok=True)
            case "RUN":
                self._run(one.arguments)
            case "COPY":
                self._copy(one.arguments)
            case "ENV":
                for name, value in (pair.split("=", 1) for pair in shlex.split(one.arguments)):
                    path = self._environ.get("PATH", "/usr/bin:/bin")
                    self._environ[name] = self._here(value).replace("$PATH", path)
            case "CMD":
                self.command = re.findall(r'"([^"]*)"', one.arguments)
            case "HEALTHCHECK":
                self.healthcheck = re.findall(r'"([^"]*)"', one.arguments)
            case "FROM" | "ARG" | "USER":
                pass
            case _:
                raise CheckFailed(f"release/image.py does not know {one.name}")

    def _run(self, line: str) -> None:
        if line.startswith(NEEDS_ROOT):
            return
        line = re.sub(r"(?<!\S)python(?= )", shlex.quote(sys.executable), line)
        run(["sh", "-ec", self._here(line)], self._folder)

    def _copy(self, arguments: str) -> None:
        *sources, target = [word for word in arguments.split() if not word.startswith("--")]
        inner = "--from=" in arguments
        place = self._root / target.lstrip("/") if target.startswith("/") else self._folder / target
        for source in sources:
            origin = self._root / source.lstrip("/") if inner else self._context / source
            if origin == place:
                continue
            if not origin.exists() or not (inner or source in kept(self._context)):
                raise CheckFailed(f"COPY {source}: it is not there, or .dockerignore leaves it out")
            into = place / origin.name if target.endswith("/") else place
            into.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(
                    origin, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(origin, into)

    def _here(self, line: str) -> str:
        return _ROOTS.sub(f"{self._root}/", line)


def kept(context: Path) -> set[str]:
    """What .dockerignore lets into the build."""
    lines = (context / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("!") for line in lines if line.startswith("!")}
