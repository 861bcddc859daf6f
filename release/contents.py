"""What is in the files of a release: an sdist is the repository, a wheel its packages."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from release.building import Built
from release.checkout import MADE, files_of
from release.report import CheckFailed, Report

LEFT_OUT: dict[str, str] = {}  # what git knows and the sdist does not have -> why


def check_contents(both: list[Built], checkout: Path, report: Report) -> None:
    """The sdist against the checkout, and each wheel against its packages."""
    for built in both:
        with report.check(f"{built.project.name}: the sdist is complete") as notes:
            source = checkout if built.project.root == checkout else built.project.root
            missing, unknown = difference(sdist_files(built.sdist), files_of(source))
            if missing or unknown:
                raise CheckFailed(
                    f"missing (MANIFEST.in, or to LEFT_OUT with the reason): {', '.join(missing) or 'none'}\n"
                    f"of unknown origin: {', '.join(unknown) or 'none'}"
                )
            notes.append(
                f"{len(sdist_files(built.sdist))} files; left out on purpose: {', '.join(LEFT_OUT) or 'none'}"
            )
        with report.check(f"{built.project.name}: the wheel is its packages"):
            expected = {
                path.relative_to(built.project.root).as_posix()
                for package in built.project.packages()
                for path in (built.project.root / package).rglob("*")
                if path.suffix == ".py" or path.name == "py.typed"
            }
            if wheel_files(built.wheel) != expected:
                raise CheckFailed(f"these differ: {', '.join(sorted(wheel_files(built.wheel) ^ expected))}")


def difference(in_sdist: set[str], in_checkout: set[str]) -> tuple[list[str], list[str]]:
    """What is missing in an sdist, and what it has that nobody knows."""
    return sorted(in_checkout - in_sdist - LEFT_OUT.keys()), sorted(in_sdist - in_checkout)


def sdist_files(sdist: Path) -> set[str]:
    """Its files without the folder at the top, and without what setuptools makes."""
    with tarfile.open(sdist) as tar:
        names = {member.name.partition("/")[2] for member in tar if member.isfile()}
    return {name for name in names if name not in MADE and ".egg-info/" not in name}


def wheel_files(wheel: Path) -> set[str]:
    """Its files without the metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
