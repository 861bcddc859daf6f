"""Removing from the queue, on the way, what is old and read: a file grows for ever otherwise."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from estela_queue_adapter import Platform
from estela_queue_adapter.errors import QueueError
from estela_terminal.times import shown_duration

_INTERVAL = 600.0  # seconds between two looks

logger = logging.getLogger(__name__)


class Retention:
    """Prunes all topics of a queue without a retention of its own. What a group has not read always stays.

    `prune` blocks, for a second about each 100,000 messages. `start` has a thread do so every ten minutes, on
    a connection of its own, until `stop`; it is not waited for, as the end of a process undoes what it is at.
    """

    def __init__(self, platform: Platform, seconds: int, now: Callable[[], float] = time.time) -> None:
        self._platform = platform
        self._seconds = seconds
        self._now = now
        self._told: set[tuple[str, str]] = set()
        """Groups and topics for which messages are kept: each is told once."""
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to prune. Call it once."""
        threading.Thread(target=self._work, name="estela-retention", daemon=True).start()

    def stop(self) -> None:
        """Prune no more."""
        self._stopped.set()

    def prune(self) -> None:
        """Remove what every group has read and what is old enough. An error is a line of the log."""
        try:
            with contextlib.closing(self._platform.administration()) as administration:
                if administration.own_retention:
                    self._tell_once(
                        "", "", f"ESTELA_RETENTION has no effect here: {administration.own_retention}."
                    )
                    return
                before = self._now() - self._seconds
                plans = administration.prunable(before=before)
                for plan in plans:
                    for group, unread in plan.behind:
                        self._tell_once(group, plan.topic, self._about(plan.topic, group, unread))
                topics = [plan.topic for plan in plans if plan.messages]
                if topics:
                    pruned = administration.prune(topics, before)
                    logger.info(
                        "Retention: %d messages older than %s removed from the queue, which takes %d bytes "
                        "now (%d before).",
                        pruned.messages, shown_duration(self._seconds), pruned.bytes_after,
                        pruned.bytes_before,
                    )  # fmt: skip
        except QueueError as error:
            logger.warning("Retention: nothing removed from the queue now: %s", error)

    def _about(self, topic: str, group: str, unread: int) -> str:
        return (
            f"Retention: {unread:,} messages of {topic} older than {shown_duration(self._seconds)} are kept, "
            f"as the group {group} has not read them. If nobody uses it any more, remove it: estela-queue "
            "groups --remove."
        )

    def _tell_once(self, group: str, topic: str, text: str) -> None:
        if (group, topic) not in self._told:
            self._told.add((group, topic))
            logger.warning("%s", text)

    def _work(self) -> None:
        while not self._stopped.is_set():
            self.prune()
            self._stopped.wait(_INTERVAL)
