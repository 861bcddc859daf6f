"""Other distributions whose packages are called like ours.

They are estela's own entrypoint and queue adapter, and beside `estela-scrapy` its part `estela-consumer`. pip
writes the files of one over those of the other silently, and only parts of what remains work. No file of
estela's is called like this one, so it is still here then.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

_OURS = ("estela-scrapy", "estela-consumer")  # the first has all of the second
_PACKAGES = ("estela_scrapy", "estela_queue_adapter", "estela_consumer")
_ROOT = Path(__file__).resolve().parent.parent


class PackageConflict(ImportError):
    """Another installed distribution has packages of the same names."""


@cache
def check_alone() -> None:
    """Raise PackageConflict if another distribution is in the way. Reads a file of each, once a process."""
    alike = [_Installed(_name(one), one, names) for one in distributions() if (names := _packages(one))]
    ours = [one for one in alike if one.name in _OURS and one.is_in_our_folder()]
    if not any(one.name in _OURS for one in alike):
        return  # a checkout that is not installed, or files that somebody has put here on purpose
    others = [one for one in alike if one.name not in _OURS and one.is_in_our_way()]
    if others:
        raise PackageConflict(_beside_others(others, alike))
    if len({one.name for one in ours}) > 1:
        raise PackageConflict(_both_of_ours(ours))


class _Installed:
    """One installed distribution, and which of its packages are called like ours."""

    def __init__(self, name: str, distribution: Distribution, packages: list[str]) -> None:
        self.name = name
        self.packages = packages
        self._distribution = distribution

    @property
    def told(self) -> str:
        return f"{self.name} {self._distribution.version}"

    def is_in_our_folder(self) -> bool:
        return self._folder() == _ROOT

    def is_in_our_way(self) -> bool:
        """Whether it is in our folder, or Python finds its package rather than ours."""
        return self.is_in_our_folder() or any(_root_of(name) == self._folder() for name in self.packages)

    def _folder(self) -> Path:
        return Path(str(self._distribution.locate_file(""))).resolve()


def _beside_others(others: list[_Installed], alike: list[_Installed]) -> str:
    ours = next(name for name in _OURS if any(one.name == name for one in alike))
    packages = ", ".join(sorted({package for one in others for package in one.packages}))
    names = sorted({one.name for one in others})
    return (
        f"{ours} is installed beside {' and '.join(names)}, with packages of the same names ({packages}); "
        f"pip has written files of one over those of the other. Keep one. To keep {ours}: "
        f"`pip uninstall {' '.join(names)}`, then install {ours} with --force-reinstall --no-deps"
    )


def _both_of_ours(ours: list[_Installed]) -> str:
    whole, part = _OURS
    told = " and ".join(sorted((one.told for one in ours), reverse=True))
    return (
        f"{told} are installed together, and {whole} has all of {part}; pip has written files of one over "
        f"those of the other. Keep one. If this environment crawls: `pip uninstall {part}`, then install "
        f"{whole} with --force-reinstall --no-deps. If it never does: `pip uninstall {whole}`, then install "
        f"{part} in the same way"
    )


def _packages(distribution: Distribution) -> list[str]:
    """Those of its packages that are called like ours."""
    try:
        listed = distribution.read_text("top_level.txt")
        if listed is not None:
            return sorted(set(listed.split()) & set(_PACKAGES))
        record = distribution.read_text("RECORD") or ""
    except ValueError:  # not UTF-8, and so not from any tool of today
        return []
    return [name for name in _PACKAGES if re.search(rf"^{name}/", record, re.MULTILINE)]


def _root_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).resolve().parent.parent if spec and spec.origin else None


def _name(distribution: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()
