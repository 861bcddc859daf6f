"""The lock files of the images: whole, with hashes, of today's setup.cfg, and without a registry's name."""

from __future__ import annotations

import re
import shutil
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
_PIN = re.compile(r"[a-z0-9-]+==[^ ;]+(?: ; [^\\]+)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def pins(name: str) -> list[tuple[str, str, Marker | None]]:
    return lock.pins((ROOT / "requirements" / name).read_text())


def test_none_is_stale() -> None:
    assert lock.stale(PROJECT) == []


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("msgspec >=", "msgspec >= 99, >=", ["consumer.txt", "crawler.txt"]),
        ("msgspec >= 0.19", "msgspec >= 0.18", []),  # the locked version is in bounds still
        ("    msgspec >= 0.19\n", "", ["consumer.txt", "crawler.txt"]),
        ("    msgspec >=", "    another >= 1\n    msgspec >=", ["consumer.txt", "crawler.txt"]),
        ("kafka-python[crc32c,lz4,", "kafka-python[crc32c,", ["consumer.txt", "crawler.txt"]),
        ("    scrapy >=", "    scrapy >= 99, >=", ["crawler.txt"]),
    ],
)
def test_a_lock_is_stale_if_the_requirements_are_others(
    tmp_path: Path, old: str, new: str, stale: list[str]
) -> None:
    text = (ROOT / "setup.cfg").read_text().replace("\t", "    ")  # an sdist has tabs
    assert old in text
    (tmp_path / "setup.cfg").write_text(text.replace(old, new))
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")

    assert lock.stale(Project.read(tmp_path)) == stale
    (tmp_path / "requirements" / "build.txt").unlink()
    assert lock.stale(Project.read(tmp_path)) == ["build.txt", *stale]


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
