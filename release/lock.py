"""`scripts/lock`: which version of each package the images install, with the hashes of its files.

One file in requirements/ for each image, and one for what builds the wheel. They are made of setup.cfg and
pyproject.toml, whose requirements stand at the head of each: `stale` compares them without a network.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from release.consumer import derived
from release.project import ROOT, Project

_HEAD = "# Made by scripts/lock, of:\n"
_OPTIONS = ["--universal", "--generate-hashes", "--no-header", "--no-python-downloads", "--quiet"]


def inputs(project: Project) -> dict[str, list[str]]:
    """The requirements that each lock file of `requirements/` is made of."""
    consumer = Project(project.root, derived(project))
    return {
        "build.txt": _build_requirements(project.root),
        "consumer.txt": consumer.requirements(),
        "crawler.txt": project.requirements(),
    }


def stale(project: Project) -> list[str]:
    """The lock files that were made of other requirements than those of today, or are missing."""
    folder = project.root / "requirements"
    return [
        name
        for name, requirements in inputs(project).items()
        if not (folder / name).exists() or _head_of((folder / name).read_text()) != sorted(requirements)
    ]


def head(requirements: list[str]) -> str:
    """The comment that says what a lock file is made of."""
    return _HEAD + "".join(f"#   {requirement}\n" for requirement in sorted(requirements))


def _head_of(text: str) -> list[str]:
    if not text.startswith(_HEAD):
        return []
    found = re.match(r"(?:#   .*\n)*", text[len(_HEAD) :])
    return [line.removeprefix("#   ") for line in found[0].splitlines()] if found else []


def _build_requirements(root: Path) -> list[str]:
    found = re.search(r"^requires = \[(.*)\]$", (root / "pyproject.toml").read_text(), re.MULTILINE)
    if not found:
        raise ValueError("[build-system] of pyproject.toml has no line `requires = [...]`")
    return re.findall(r'"([^"]+)"', found[1])


def lock(project: Project, options: list[str]) -> None:
    """Write all of them; asks the registry. Versions that fit stay, unless the options say --upgrade."""
    uv = Path(sysconfig.get_path("scripts")) / "uv"  # of the extra `release`
    oldest = project.config["options"]["python_requires"].removeprefix(">=").strip()
    folder = project.root / "requirements"
    folder.mkdir(exist_ok=True)
    for name, requirements in inputs(project).items():
        path = folder / name
        done = subprocess.run(
            [
                uv,
                "pip",
                "compile",
                "-",
                *_OPTIONS,
                "--python-version",
                oldest,
                "--output-file",
                path,
                *options,
            ],
            input="\n".join(requirements),
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"Error: uv could not lock {name}")
        path.write_text(head(requirements) + path.read_text())
        sys.stdout.write(f"{path.relative_to(project.root)}\n")


if __name__ == "__main__":
    try:
        lock(Project.read(ROOT), sys.argv[1:])
    except (OSError, ValueError, configparser.Error) as problem:
        sys.exit(f"Error: {problem}")
