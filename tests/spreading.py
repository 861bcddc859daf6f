"""Which tests of the suite a process runs, if there are several."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

_MADE_ONCE = re.compile(r'^ *@pytest\.fixture\(.*scope="(class|module|package|session)"', re.MULTILINE)
_TOGETHER = re.compile(r"^pytestmark = .*\bpytest\.mark\.together\b", re.MULTILINE)


@functools.cache
def is_together(path: Path) -> bool:
    """Whether one process must run all tests of a module, one after the other.

    They share what is made once, or, if the module is marked `together`, a name on the shared servers.
    """
    text = path.read_text()
    return any(pattern.search(text) for pattern in (_MADE_ONCE, _TOGETHER))


def place(item: pytest.Item) -> int:
    """What takes longest begins first, and what takes no time at all fills the gaps in the end."""
    if item.get_closest_marker("processes") or is_together(item.path):
        return 0
    return 1 if item.get_closest_marker("servers") else 2


class Spreading(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """A process that has nothing to do takes the next test, or the next module if its tests stay together."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        return path if is_together(self.config.rootpath / path) else nodeid
