"""The lock files of the images: whole, with hashes, of today's setup.cfg, and without a registry's name."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release import lock
from release.project import ROOT, Project

PROJECT = Project.read()
FILES = sorted(lock.inputs(PROJECT))
_PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>[^\\]+))? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def pins(name: str) -> list[tuple[str, str, Marker | None]]:
    """Name, version and marker of each package of a lock file."""
    found = _PIN.finditer((ROOT / "requirements" / name).read_text())
    return [
        (pin["name"], pin["version"], Marker(pin["marker"].strip()) if pin["marker"] else None)
        for pin in found
    ]


def test_none_is_stale() -> None:
    assert lock.stale(PROJECT) == []


def test_a_changed_bound_or_a_missing_file_is_stale(tmp_path: Path) -> None:
    for name in ("setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text().replace("msgspec >=", "msgspec >= 99, >="))
    (tmp_path / "requirements").mkdir()
    for name in FILES:
        (tmp_path / "requirements" / name).write_text((ROOT / "requirements" / name).read_text())

    assert lock.stale(Project.read(tmp_path)) == ["consumer.txt", "crawler.txt"]
    (tmp_path / "requirements" / "build.txt").unlink()
    assert lock.stale(Project.read(tmp_path)) == ["build.txt", "consumer.txt", "crawler.txt"]


@pytest.mark.parametrize("name", FILES)
def test_each_line_is_a_package_with_its_hashes_and_names_no_host(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()

    hashes = 0
    for line in text.splitlines()[::-1]:  # from the end: a package's hashes stand below it
        if _HASH.fullmatch(line):
            hashes += 1
        elif not line.lstrip().startswith("#"):
            assert _PIN.fullmatch(line), line
            assert hashes, f"{line} has no hash"
            hashes = 0
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("name", FILES)
def test_each_requirement_of_setup_cfg_is_met(name: str) -> None:
    locked = pins(name)

    assert locked
    for required in map(Requirement, lock.inputs(PROJECT)[name]):
        versions = [version for pinned, version, _ in locked if pinned == canonicalize_name(required.name)]
        assert versions, f"{required.name} is not locked"
        for version in versions:
            assert required.specifier.contains(version, prereleases=True), (required, version)


@pytest.mark.parametrize("name", FILES)
def test_what_the_locked_packages_need_is_locked_too(name: str) -> None:
    """Read from the packages installed here, as far as they have the locked version."""
    locked = {
        pinned: version for pinned, version, marker in pins(name) if marker is None or marker.evaluate()
    }
    read = 0
    for pinned, version in locked.items():
        try:
            here = distribution(pinned)
        except PackageNotFoundError:
            continue
        if here.version != version:
            continue
        read += 1
        for needed in map(Requirement, here.requires or []):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                other = canonicalize_name(needed.name)
                assert other in locked, f"{pinned} {version} needs {other}"
                assert needed.specifier.contains(locked[other], prereleases=True)
    if not read:
        pytest.skip("none of the locked versions is installed here")


def test_the_consumers_lock_has_no_scrapy_and_the_crawlers_has_all_of_the_consumers() -> None:
    consumer, crawler = pins("consumer.txt"), pins("crawler.txt")

    names = {name for name, _, _ in consumer}
    assert not names & {"scrapy", "twisted", "itemadapter", "lxml", "cryptography"}
    assert names <= {name for name, _, _ in crawler}
