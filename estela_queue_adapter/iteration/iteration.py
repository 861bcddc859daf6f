"""All the loops over one consumer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeAlias

from estela_queue_adapter.errors import ConsumerClosed
from estela_queue_adapter.iteration.backlog import Backlog
from estela_queue_adapter.iteration.committer import Commit, Committer
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.subscription import Subscription
from estela_terminal.printable import printable_logger

Poll: TypeAlias = Callable[[float, int], Sequence[Message]]

_FETCH = 500  # messages that are polled at once
_LONGEST_POLL = 1.0  # seconds
_KEEP_UP = 1.0  # seconds after which a loop polls though it has messages: its group may wait for it
_STUCK = 3  # so often in turn the same message is the first of a loop until that is logged

logger = printable_logger(__name__)


class Iteration:
    """All the loops over one consumer, in one thread or several. It holds no reference to the consumer.

    A platform's consumer has its `poll` give what `take` gives before anything else, holds `committing` while
    it commits, reports what is committed, revoked and lost, and calls `close` before it closes itself.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._topic = subscription.topic
        self._idle_timeout = subscription.idle_timeout
        self.paused = False
        """Whether to hand out nothing."""
        self._closed = threading.Event()
        self._backlog = Backlog(self._closed)
        self._committer = Committer(self._topic, self._backlog, self._closed)
        self._polling = threading.RLock()  # held while a loop polls, so that one does at a time
        self._polled_at = 0.0

    @property
    def committing(self) -> threading.RLock:
        """To be held while positions are committed, so that an older commit never follows a newer one."""
        return self._committer.committing

    def loop(self, poll: Poll, commit: Commit) -> Iterator[Message]:
        """Begin a loop; see `Consumer.__iter__`. Raises ConsumerClosed."""
        if self._closed.is_set():
            raise ConsumerClosed(f"the consumer of {self._topic} is closed")
        return self._messages(poll, commit)

    def _messages(self, poll: Poll, commit: Commit) -> Iterator[Message]:
        loop = object()
        try:
            while (message := self._next(loop, poll, commit)) is not None:
                yield message
        finally:
            self._leave(loop)

    def take(self, poll: Poll, max_messages: int) -> list[Message]:
        """What loops have fetched and not handled, for `Consumer.poll`, so that none is skipped."""
        if self.paused or self._backlog.is_empty:
            return []
        if self._is_late:
            self._fetch(poll, 0.0)
        return self._backlog.take(max_messages)

    def next_offset(self, partition: int) -> int | None:
        """The first offset of the partition that was fetched and not handed out, if there is one."""
        return self._backlog.next_offset(partition)

    def committed(self, positions: Iterable[Position]) -> None:
        """Somebody has committed these: what was handed out before them is done."""
        self._backlog.committed(positions)

    def revoked(self, partitions: Collection[int], commit: Commit) -> None:
        """Commit what is done of these, and forget them. Blocks."""
        try:
            self._committer.commit_done(commit)
        finally:
            self.lost(partitions)

    def lost(self, partitions: Collection[int]) -> None:
        """Forget these: hand out nothing more of them, and commit nothing."""
        self._backlog.lose(partitions)

    def close(self, commit: Commit) -> None:
        """End the loops and commit what is done; calling it twice is fine. Blocks; raises QueueError."""
        self._closed.set()
        try:
            self._committer.commit_done(commit)
        finally:
            self._backlog.clear()

    def forked(self) -> None:
        """This is a copy in a forked process: all is the parent's."""
        self._closed.set()
        self._committer.forked()
        self._backlog.forked()

    def _next(self, loop: object, poll: Poll, commit: Commit) -> Message | None:
        """The next message; None if the consumer is closed, or has been idle for as long as it may."""
        if self._backlog.finish(loop):
            self._committer.start(commit)
        until = float("inf") if self._idle_timeout is None else time.monotonic() + self._idle_timeout
        while not self._closed.is_set():
            self._committer.raise_error()
            waits = self.paused or self._backlog.is_empty
            remaining = until - time.monotonic()
            if waits or self._is_late:
                try:
                    self._fetch(poll, max(0.0, min(_LONGEST_POLL, remaining)) if waits else 0.0)
                except ConsumerClosed:
                    if self._closed.is_set():
                        break
                    raise
            if not self.paused and (message := self._backlog.hand_out(loop)) is not None:
                return message
            if remaining <= 0:
                break
        return None

    @property
    def _is_late(self) -> bool:
        return time.monotonic() - self._polled_at >= _KEEP_UP

    def _fetch(self, poll: Poll, timeout: float) -> None:
        fetched = self._backlog.fetched
        with self._polling:
            if timeout and fetched and not self.paused:
                return  # another thread's loop has polled meanwhile
            # In one step: an interrupt in between would lose them.
            fetched.extend(poll(timeout, 1 if fetched else _FETCH))
            self._polled_at = time.monotonic()

    def _leave(self, loop: object) -> None:
        """The loop is left: the message that it had is the first of the next loop."""
        given_back = self._backlog.give_back(loop)
        if given_back is None:
            return
        message, times = given_back
        if times == _STUCK:
            logger.warning(
                "%d loops in turn over %s were left at partition %d, offset %d, and the next begins with it "
                "again. Keep one iterator for next(), or commit the message's `next` to go on behind it.",
                *(_STUCK, self._topic, message.partition, message.offset),
            )
