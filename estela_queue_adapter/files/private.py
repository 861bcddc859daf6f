"""Files that only their owner may read, and which file it is that has a name.

On Windows who may read them is what their folder says.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700

Identity: TypeAlias = tuple[int, ...]
"""Device and inode; empty if there is no such file."""


def create_folder(folder: Path) -> None:
    """Create the folder and those above it that are missing, open to their owner alone. Raises OSError."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def create(path: Path) -> Identity:
    """Create the file, and its folder, if they are missing; which file it is. Raises OSError.

    It is not opened if it exists: to close it again would end every lock that SQLite holds on it in this
    process.
    """
    target = Path(os.path.realpath(path))  # the end of a symbolic link may be missing too
    if not target.exists():
        create_folder(target.parent)
        with contextlib.suppress(FileExistsError):
            _create_empty(target)
    return identity(path)


def _create_empty(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFREG | _FILE_MODE)
    except (AttributeError, PermissionError):  # Windows has none, and on macOS it is for the superuser alone
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE))


def identity(path: str | Path) -> Identity:
    """Which file has this name now. Raises OSError if that cannot be known."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return found.st_dev, found.st_ino


class LockFile:
    """A lock between processes, which the system frees if its holder dies. Not bound to a thread.

    It is lost when its file is removed, as another process could lock a new one then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path, mode=_FILE_MODE, thread_local=False)
        self._identity: Identity = ()

    def acquire(self) -> bool:
        """Take it unless somebody has it; whether it is ours. Raises OSError."""
        self.release()  # one that was lost
        self._identity = create(self.path)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        if self.held:
            return True
        self.release()  # the file was removed in between
        return False

    @property
    def held(self) -> bool:
        """Whether it is ours, and the file is still where others look for it."""
        return self._lock.is_locked and identity(self.path) == self._identity

    def release(self) -> None:
        """Let others have it."""
        self._lock.release(force=True)
