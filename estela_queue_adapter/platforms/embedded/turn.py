"""Whose turn it is to read a topic for a group."""

from __future__ import annotations

import hashlib
from pathlib import Path

from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.files.private import LockFile
from estela_queue_adapter.platforms.embedded.inherited import keep_inherited
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog


class ReaderTurn:
    """The one reader of a group and topic: it holds a lock file, which the system frees if it dies.

    The turn ends too when the log is removed or replaced: it is another log then. Raises QueueUnreachable.
    """

    def __init__(self, path: Path, group: str, topic: str) -> None:
        name = hashlib.sha256(f"{group}\0{topic}".encode()).hexdigest()[:16]
        self._lock = LockFile(Path(f"{path}-reader-{name}.lock"))
        self._generation = 0  # of the log that it was taken on
        self.taken = False
        """Whether it is ours, as the listener knows it; it may have ended since."""

    def is_on(self, log: EmbeddedLog) -> bool:
        """Whether it was taken on this log rather than on one that was there before."""
        return self._generation == log.generation

    def is_held(self, log: EmbeddedLog) -> bool:
        """Whether it is still ours: neither the lock nor the log was removed or replaced."""
        try:
            return self.taken and self.is_on(log) and self._lock.held
        except OSError as error:
            raise QueueUnreachable(f"{self._lock.path} cannot be checked: {error}") from error

    def acquire(self) -> bool:
        """Take the lock unless another reader has it; whether it is ours. `begin` is next."""
        try:
            return self._lock.acquire()
        except OSError as error:
            raise QueueUnreachable(f"{self._lock.path} cannot be locked: {error}") from error

    def is_taken(self) -> bool:
        """Whether some reader has it now, other than this one. Creates nothing.

        The lock is taken for a moment to find out; a reader that wants it in that moment tries again.
        """
        if not self._lock.path.exists():
            return False
        taken = not self.acquire()
        self._lock.release()
        return taken

    def begin(self, log: EmbeddedLog) -> None:
        """The turn begins, on this log."""
        self._generation = log.generation
        self.taken = True

    def end(self) -> None:
        """Let another reader have its turn."""
        self.taken = False
        self._lock.release()

    def forked(self) -> None:
        """This is a copy in a forked process: the lock is the parent's."""
        self.taken = False
        keep_inherited(self._lock)
        self._lock = LockFile(self._lock.path)
