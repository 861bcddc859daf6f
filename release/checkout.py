"""The files of the repository, and a copy of them that nobody has worked in."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from release.project import ROOT, Project
from release.report import CheckFailed, Report, run

MADE = {"PKG-INFO"}  # what an sdist has on top, beside the folder *.egg-info
_LEFT_BY_RUNS = {"build", "dist", "__pycache__", ".venv", ".hypothesis", ".estela", ".estela-demo"}


def files_of(folder: Path) -> set[str]:
    """What git knows of a checkout; elsewhere, each file but what builds and runs leave there."""
    if (folder / ".git").exists():
        return set(run(["git", "ls-files"], folder).splitlines())
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if not any(map(_is_left, path.parts))} - MADE


def _is_left(part: str) -> bool:
    return part in _LEFT_BY_RUNS or part.endswith((".egg-info", "_cache"))


def clean_checkout(folder: Path, report: Report) -> Project:
    """The files of the last commit; in an unpacked sdist, which has no commits, all that is there."""
    with report.check("a clean checkout") as notes:
        if not (ROOT / ".git").exists():
            for name in files_of(ROOT):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
            notes.append("this is no git checkout: what is checked is this folder")
        else:
            archive = folder.with_suffix(".tar")
            run(["git", "archive", "--output", archive, "HEAD"], ROOT)
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
            notes.append("commit " + run(["git", "log", "-1", "--format=%h of %cs"], ROOT).strip())
            if changed := run(["git", "status", "--porcelain"], ROOT).splitlines():
                raise CheckFailed(
                    f"{len(changed)} files are not committed, so not in what is checked: "
                    f"{', '.join(line[3:] for line in changed[:5])}. "
                    "Commit them, or put them away with `git stash --include-untracked`"
                )
    return Project.read(folder)
