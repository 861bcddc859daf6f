"""What a forked process has of its parent's.

There SQLite's connections must not be closed, nor locks let go: their ends would end those of the parent. So
they are kept, unused, for as long as the process lives.
"""

from __future__ import annotations

from estela_queue_adapter.files.private import LockFile
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog

_inherited: list[EmbeddedLog | LockFile] = []


def keep_inherited(one: EmbeddedLog | LockFile) -> None:
    """Keep `one` to the end of this forked process."""
    _inherited.append(one)
