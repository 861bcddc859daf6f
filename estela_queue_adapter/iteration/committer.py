"""Who commits what loops have done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeAlias

from estela_queue_adapter.errors import TransientError
from estela_queue_adapter.iteration.backlog import Backlog
from estela_queue_adapter.messages import Position
from estela_terminal.printable import printable_logger

Commit: TypeAlias = Callable[[Iterable[Position]], None]

_COMMIT_INTERVAL = 0.5  # seconds: with the commit itself, within a second after the body ran

logger = printable_logger(__name__)


class Committer:
    """Commits whenever it is asked, and by a thread that lives as long as there is something to commit."""

    def __init__(self, topic: str, backlog: Backlog, closed: threading.Event) -> None:
        self._topic = topic
        self._backlog = backlog
        self._closed = closed
        self.committing = threading.RLock()
        """Held while positions are committed, so that an older commit never follows a newer one."""
        self._thread: threading.Thread | None = None  # guarded by the backlog's lock
        self._error: BaseException | None = None  # of the thread, which ends with it
        self._outage_logged = False

    def start(self, commit: Commit) -> None:
        """Have the thread commit what is done by now, if it does not run already."""
        with self._backlog.lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(
                target=self._commit_by_itself, args=(commit,), name="estela-commit", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError:  # no threads any more, as the interpreter shuts down: the end commits
                self._thread = None

    def raise_error(self) -> None:
        """Raise what the thread has met that does not pass, once."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def commit_done(self, commit: Commit) -> None:
        """Commit what is done; a warning if that fails in a way that passes. Blocks; raises QueueError."""
        try:
            self._commit_done(commit)
        except TransientError as error:
            logger.warning(
                "Messages of %s that are done could not be committed, so they are delivered again: %s",
                self._topic,
                error,
            )

    def forked(self) -> None:
        """This is a copy in a forked process: the thread is the parent's, and may have held the lock."""
        self.committing = threading.RLock()
        self._thread = None

    def _commit_done(self, commit: Commit) -> None:
        with self.committing:
            positions = self._backlog.open_positions()
            if positions:
                commit(positions)
                self._backlog.committed_done(positions)
                self._outage_logged = False

    def _commit_by_itself(self, commit: Commit) -> None:
        while True:
            self._closed.wait(_COMMIT_INTERVAL)
            try:
                if not self._closed.is_set():
                    self._commit_done(commit)
            except TransientError as error:
                if not self._outage_logged:
                    self._outage_logged = True
                    logger.warning(
                        "Messages of %s that are done are not committed yet; that is tried again: %s",
                        self._topic,
                        error,
                    )
            except BaseException as error:  # noqa: BLE001  (the next loop raises it)
                self._error = error
            with self._backlog.lock:
                if self._closed.is_set() or self._error or not self._backlog.open_positions():
                    self._thread = None
                    return
