"""Other distributions whose packages are called like ours: estela's own entrypoint and queue adapter.

pip writes the files of one over those of the other silently, and only parts of what remains work. No file
of theirs is called like this one, so it is still here then.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

_OURS = "estela-scrapy"
_PACKAGES = ("estela_scrapy", "estela_queue_adapter", "estela_consumer")
_ROOT = Path(__file__).resolve().parent.parent


class PackageConflict(ImportError):
    """Another installed distribution has packages of the same names."""


@cache
def check_alone() -> None:
    """Raise PackageConflict if another distribution is in the way. Reads a file of each, once a process."""
    named_alike = [(_name(one), one, names) for one in distributions() if (names := _packages(one))]
    if not any(name == _OURS for name, _, _ in named_alike):
        return  # a checkout that is not installed, or files that somebody has put here on purpose
    others = {
        name: names
        for name, one, names in named_alike
        if name != _OURS and any(_in_our_way(one, package) for package in names)
    }
    if others:
        raise PackageConflict(_advice(others))


def _advice(others: dict[str, list[str]]) -> str:
    packages = ", ".join(sorted({package for names in others.values() for package in names}))
    names = sorted(others)
    return (
        f"{_OURS} is installed beside {' and '.join(names)}, with packages of the same names ({packages}); "
        f"pip has written files of one over those of the other. Keep one. To keep {_OURS}: "
        f"`pip uninstall {' '.join(names)}`, then install {_OURS} with --force-reinstall --no-deps"
    )


def _in_our_way(distribution: Distribution, package: str) -> bool:
    """Whether it is in our folder, or Python finds its package rather than ours."""
    there = Path(str(distribution.locate_file(""))).resolve()
    return there == _ROOT or _root_of(package) == there


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
