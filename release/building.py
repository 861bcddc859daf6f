"""Both distributions, built from the last commit as anybody would build them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from release.consumer import write_tree
from release.project import Project
from release.report import CheckFailed, Report, run


@dataclass(frozen=True)
class Built:
    """The files of one distribution."""

    project: Project
    wheel: Path
    sdist: Path


def build(project: Project, output: Path, report: Report) -> Built | None:
    """Its wheel and sdist, by `python -m build`, each in an environment of its own; None if that failed."""
    name = f"{project.name.replace('-', '_')}-{project.version}"
    built = Built(project, output / f"{name}-py3-none-any.whl", output / f"{name}.tar.gz")
    with report.check(f"{project.name}: build") as notes:
        run([sys.executable, "-m", "build", "--outdir", output, project.root], project.root)
        for path in (built.wheel, built.sdist):
            if not path.exists():
                raise CheckFailed(
                    f"{path.name} was not built; there is {sorted(p.name for p in output.iterdir())}"
                )
            notes.append(f"{path.name}, {path.stat().st_size / 1e6:.2f} MB")
        return built
    return None


def build_both(project: Project, folder: Path, output: Path, report: Report) -> list[Built]:
    """estela-scrapy and estela-consumer, or those that could be built."""
    projects = [project]
    with report.check("the source of estela-consumer, made of setup.cfg"):
        try:
            projects.append(write_tree(folder, project))
        except (OSError, ValueError) as error:
            raise CheckFailed(str(error)) from error
    return [built for one in projects if (built := build(one, output, report))]
