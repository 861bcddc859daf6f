"""Which tests of the suite a process runs, if there are several."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

_MADE_ONCE = re.compile(r'^ *@pytest\.fixture\(.*scope="(class|module|package|session)"', re.MULTILINE)


@functools.cache
def is_together(path: Path) -> bool:
    """Whether the tests of a module share what is made once, so that one process must run them all."""
    return _MADE_ONCE.search(path.read_text()) is not None


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
