"""The distribution `estela-consumer`: this repository without what a crawl needs.

`python -m release.consumer FOLDER` writes its source tree, which builds and installs as any other. What it is
called and what it leaves out stands in setup.cfg, in [estela:consumer]; all else is what setup.cfg says of
estela-scrapy.
"""

from __future__ import annotations

import configparser
import re
import shutil
import sys
from pathlib import Path

from release.description import long_description
from release.project import Project, as_list, distribution_of, lines, package_of

_SECTION = "estela:consumer"
_INTRODUCTION = """\
{description} It is a part of estela-scrapy, for images that never crawl: the same commands \
without Scrapy and Twisted. A project that crawls installs estela-scrapy, which has all of it. \
One environment has one of them.

"""


def write_tree(target: Path, project: Project) -> Project:
    """Write the source tree into a new or empty folder.

    Raises ValueError if the folder is not empty, or setup.cfg leaves out what is not there.
    """
    config = derived(project)
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise ValueError(f"{target} is not empty")
    with (target / "setup.cfg").open("w", encoding="utf-8") as file:
        config.write(file)
    description = config["metadata"]["description"]
    text = _INTRODUCTION.format(description=description) + long_description(project)
    (target / "README.md").write_text(text, encoding="utf-8")
    (target / "pyproject.toml").write_text(_build_system(project.root), encoding="utf-8")
    shutil.copy(project.root / "LICENSE", target)
    for package in Project(target, config).packages():
        shutil.copytree(
            project.root / package, target / package, ignore=shutil.ignore_patterns("__pycache__", "*.py[co]")
        )
    return Project(target, config)


def derived(project: Project) -> configparser.ConfigParser:
    """The setup.cfg of estela-consumer."""
    without = {
        key.removeprefix("without_"): lines(value)
        for key, value in project.config[_SECTION].items()
        if key.startswith("without_")
    }
    config = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    config.read_dict(project.config)
    for section in [name for name in config.sections() if name.startswith("estela:")]:
        config.remove_section(section)
    metadata, options = config["metadata"], config["options"]
    metadata["name"] = project.config[_SECTION]["name"]
    metadata["description"] = project.config[_SECTION]["description"]
    metadata["long_description"] = "file: README.md"
    metadata["long_description_content_type"] = "text/markdown"
    metadata["project_urls"] = as_list(f"{name} = {url}" for name, url in project.urls().items())
    metadata["classifiers"] = as_list(_less(lines(metadata["classifiers"]), without["classifiers"]))
    metadata["keywords"] = as_list(_less(lines(metadata["keywords"]), without["keywords"]))
    needed = {distribution_of(requirement): requirement for requirement in project.requirements()}
    kept = _less(list(needed), without["requirements"])
    options["install_requires"] = as_list(needed[name] for name in kept)
    packages = _less(project.packages(), without["packages"])
    config["options.packages.find"]["include"] = as_list(f"{name}*" for name in packages)
    for extra in _gone(list(project.extras()), without["extras"]):
        config.remove_option("options.extras_require", extra)
    points = project.entry_points()
    commands = {point.partition("=")[0].strip(): point for point in points["console_scripts"]}
    points["console_scripts"] = [commands[name] for name in _less(list(commands), without["commands"])]
    for group in points:
        config["options.entry_points"][group] = as_list(
            point for point in points[group] if package_of(point) in packages
        )
    return config


def _less(values: list[str], without: list[str]) -> list[str]:
    gone = _gone(values, without)
    return [value for value in values if value not in gone]


def _gone(values: list[str], without: list[str]) -> list[str]:
    if missing := [value for value in without if value not in values]:
        raise ValueError(f"[{_SECTION}] of setup.cfg leaves out {', '.join(missing)}, which is not there")
    return without


def _build_system(root: Path) -> str:
    """The table [build-system] of pyproject.toml, as it stands there."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^\[build-system\]\n(?:[^\[\n].*\n|\n)*", text, re.MULTILINE)
    if not found:
        raise ValueError("pyproject.toml has no table [build-system]")
    return found[0].strip() + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m release.consumer FOLDER")
    try:
        write_tree(Path(sys.argv[1]), Project.read())
    except (OSError, ValueError) as problem:
        sys.exit(f"Error: {problem}")
