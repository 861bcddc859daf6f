"""Beside a distribution whose packages are called like ours, as pip leaves them: in one folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent.parent
_CONSUME = "from estela_consumer.cli.consume import main; main()"


class Site:
    """A folder of installed packages, ours and others'."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (
            "estela_wire",
            "estela_terminal",
            "estela_config",
            "estela_scrapy",
            "estela_queue_adapter",
            "estela_consumer",
            "estela_cli",
        ):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.describe(
            "estela_scrapy-0.2.0", "estela-scrapy", "estela_consumer\nestela_queue_adapter\nestela_scrapy\n"
        )

    def describe(self, folder: str, name: str, packages: str | None, record: str = "") -> None:
        info = self.folder / f"{folder}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (info / "RECORD").write_text(record)
        if packages is not None:
            (info / "top_level.txt").write_text(packages)

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, "-h"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_alone_or_beside_what_has_other_names_all_is_well(site: Site) -> None:
    site.describe("estela_queue_adapter_redis-0.1", "estela-queue-adapter-redis", "estela_redis\n")
    site.describe("broken-0.1", "broken", None)
    (site.folder / "broken-0.1.dist-info" / "RECORD").write_bytes(b"\xff\nestela_scrapy/__init__.py,,\n")

    consume, crawl = site.run(_CONSUME), site.run("import estela_scrapy")

    assert (consume.returncode, crawl.returncode) == (0, 0), consume.stderr + crawl.stderr


@pytest.mark.parametrize(
    ("name", "package", "record"),
    [
        ("estela-entrypoint", "estela_scrapy", False),
        ("estela_queue_adapter", "estela_queue_adapter", False),
        ("a-fork", "estela_scrapy", True),  # built by a tool that lists no packages
    ],
)
def test_beside_one_with_the_same_package_it_says_what_to_uninstall(
    site: Site, name: str, package: str, record: bool
) -> None:
    lines = f"{package}/__init__.py,,\n{package}/extensions.py,,\n"
    site.describe(f"{name}-0.1", name, None if record else f"{package}\n", lines)

    consume, crawl, queue = map(site.run, (_CONSUME, "import estela_scrapy", "import estela_queue_adapter"))

    told = f"`pip uninstall {name.replace('_', '-')}`"
    assert consume.returncode == 2
    [line] = consume.stderr.splitlines()
    assert line.startswith(f"Error: estela-scrapy is installed beside {name.replace('_', '-')}")
    for result in (consume, crawl, queue):
        assert told in result.stderr
        assert package in result.stderr
        assert result.returncode != 0


@pytest.mark.parametrize("replaced", [False, True])
def test_every_command_says_so_in_one_line(site: Site, replaced: bool) -> None:
    """Given estela's entrypoint, whose files may have taken the place of some of ours."""
    site.describe("estela_entrypoint-0.1", "estela-entrypoint", "estela_scrapy\n")
    if replaced:
        (site.folder / "estela_scrapy" / "__init__.py").write_text("")
    scripts = [one for one in entry_points(group="console_scripts") if one.name.startswith("estela-")]

    ended = [site.run(f"from {one.module} import {one.attr} as main; main()") for one in scripts]

    assert len(scripts) >= 6
    for done in ended:
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith("Error: ")
        assert "`pip uninstall estela-entrypoint`" in line


def test_it_is_said_too_if_the_others_files_have_taken_the_place_of_ours(site: Site) -> None:
    site.describe("estela_queue_adapter-0.1", "estela-queue-adapter", "estela_queue_adapter\n")
    (site.folder / "estela_queue_adapter" / "__init__.py").write_text("queue_noisy_libraries = ['kafka']\n")

    consume, crawl = site.run(_CONSUME), site.run("import estela_scrapy")

    for result in (consume, crawl):
        assert "`pip uninstall estela-queue-adapter`" in result.stderr
    assert len(consume.stderr.splitlines()) == 1


def test_what_an_uninstallation_has_left_of_ours_is_told_in_a_line(site: Site) -> None:
    for name in ("__init__.py", "conflicts.py"):
        (site.folder / "estela_queue_adapter" / name).unlink()

    consume = site.run(_CONSUME)

    assert consume.returncode == 2
    assert len(consume.stderr.splitlines()) == 1
    assert "estela_queue_adapter" in consume.stderr


def test_one_that_python_does_not_find_first_is_in_nobodys_way(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "estela_scrapy").mkdir()
    (elsewhere / "estela_scrapy" / "__init__.py").write_text("")
    site.describe("estela_entrypoint-0.1", "estela-entrypoint", "estela_scrapy\n")
    shutil.move(site.folder / "estela_entrypoint-0.1.dist-info", elsewhere)

    result = site.run(f"import sys; sys.path.append({str(elsewhere)!r}); import estela_scrapy")

    assert result.returncode == 0, result.stderr
