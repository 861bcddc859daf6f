"""`scripts/lock`: which version of each package the images install, with the hashes of its files.

One file in requirements/ for each image, and one for what builds the wheel. They are made of setup.cfg and
pyproject.toml. The packages that these name stand at the head of each file, so `stale` needs no network.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.consumer import derived
from release.project import ROOT, Project

_HEAD = "# Made by scripts/lock, of:\n"
_PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+))? \\")
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
    """The lock files that are missing, made of other packages, or have a version out of bounds."""
    folder = project.root / "requirements"
    return [
        name
        for name, requirements in inputs(project).items()
        if not (folder / name).exists() or not _is_of((folder / name).read_text(), requirements)
    ]


def _is_of(text: str, requirements: list[str]) -> bool:
    parsed = [Requirement(one) for one in requirements]
    locked = pins(text)
    return text.startswith(_head(requirements)) and all(
        needed.specifier.contains(version, prereleases=True)
        for needed in parsed
        for name, version, _ in locked
        if name == canonicalize_name(needed.name)
    )


def pins(text: str) -> list[tuple[str, str, Marker | None]]:
    """Name, version and marker of each package of a lock file."""
    return [
        (pin["name"], pin["version"], Marker(pin["marker"].strip()) if pin["marker"] else None)
        for pin in _PIN.finditer(text)
    ]


def _head(requirements: list[str]) -> str:
    """What a lock file is made of: names, extras and markers. The versions below show the bounds."""
    names = []
    for needed in map(Requirement, requirements):
        extras = f"[{','.join(sorted(needed.extras))}]" if needed.extras else ""
        marker = f"; {needed.marker}" if needed.marker else ""
        names.append(f"#   {canonicalize_name(needed.name)}{extras}{marker}\n")
    return f"{_HEAD}{''.join(sorted(names))}# and what they need\n"


def _build_requirements(root: Path) -> list[str]:
    found = re.search(r"^requires = \[(.*)\]$", (root / "pyproject.toml").read_text(), re.MULTILINE)
    if not found:
        raise ValueError("[build-system] of pyproject.toml has no line `requires = [...]`")
    return re.findall(r'"([^"]+)"', found[1])


def lock(project: Project, options: list[str]) -> None:
    """Write all of them; asks the registry. Versions that fit stay, unless the options say --upgrade."""
    uv = Path(sysconfig.get_path("scripts")) / "uv"  # of the extra `release`
    [oldest] = re.findall(r">=\s*([\d.]+)", project.config["options"]["python_requires"])
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
        path.write_text(_head(requirements) + path.read_text())
        sys.stdout.write(f"{path.relative_to(project.root)}\n")


if __name__ == "__main__":
    try:
        lock(Project.read(ROOT), sys.argv[1:])
    except (OSError, ValueError, configparser.Error) as problem:
        sys.exit(f"Error: {problem}")
