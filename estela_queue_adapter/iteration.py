"""Iterating over a consumer: what is handed out, what is done, and who commits it when.

A message is done when its loop asks for the next one. A loop may be left at any time, by `break` or by an
exception: the message it was left at is not done, and the next loop begins with it. What is done is committed
by a thread that lives only as long as there is something to commit, and when the consumer is closed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from estela_queue_adapter.errors import ConsumerClosed, TransientError
from estela_terminal.printable import printable_logger

if TYPE_CHECKING:
    from estela_queue_adapter.interfaces import Message, Position, Subscription

    Poll: TypeAlias = Callable[[float, int], Sequence[Message]]
    Commit: TypeAlias = Callable[[Iterable[Position]], None]

_COMMIT_INTERVAL = 0.5  # seconds: with the commit itself, within a second after the body ran
_FETCH = 500  # messages that are polled at once
_LONGEST_POLL = 1.0  # seconds
_KEEP_UP = 1.0  # seconds after which a loop polls though it has messages: its group may wait for it
_STUCK = 3  # so often in turn the same message is the first of a loop until that is told

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
        self.committing = threading.RLock()
        """Held while positions are committed, so that an older commit never follows a newer one."""
        self._polling = threading.RLock()  # held while a loop polls
        self._closed = threading.Event()
        # Guards what follows, for moments. Signal handlers may come in between and close the consumer.
        self._lock = threading.RLock()
        self._fetched: deque[Message] = deque()
        self._again: list[Message] = []  # left in hand by loops: they come before what is fetched
        self._in_hand: dict[object, Message] = {}  # by loop
        self._done: dict[int, Message] = {}  # by partition: the last message that is done
        self._committed: dict[int, int] = {}
        self._committer: threading.Thread | None = None
        self._error: BaseException | None = None
        self._polled_at = 0.0
        self._left_at: tuple[int, int, int] = (-1, -1, 0)  # partition, offset, and how often in turn
        self._told_away = False

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
        """What loops have left, for `Consumer.poll`, so that no message is skipped; empty in most cases."""
        if self.paused or not (self._again or self._fetched):
            return []
        if self._is_late:
            self._fetch(poll, 0.0)
        with self._lock:
            taken, self._again = self._again[:max_messages], self._again[max_messages:]
            while self._fetched and len(taken) < max_messages:
                taken.append(self._fetched.popleft())
        return taken

    def next_offset(self, partition: int) -> int | None:
        """The first offset of the partition that was fetched and not handed out, if there is one."""
        with self._lock:
            waiting = (*self._again, *self._fetched)
        return min((message.offset for message in waiting if message.partition == partition), default=None)

    def committed(self, positions: Iterable[Position]) -> None:
        """Somebody has committed these: what was handed out before them is done."""
        with self._lock:
            for _, partition, offset in positions:
                self._committed[partition] = offset
                self._again = [m for m in self._again if m.partition != partition or m.offset >= offset]
                for loop, message in list(self._in_hand.items()):
                    if message.partition == partition and message.offset < offset:
                        del self._in_hand[loop]

    def revoked(self, partitions: Collection[int], commit: Commit) -> None:
        """Commit what is done of these, and forget them. Blocks."""
        try:
            self._commit_done(commit)
        except TransientError as error:
            logger.warning("%s: not committed, it is delivered again: %s", self._topic, error)
        finally:
            self.lost(partitions)

    def lost(self, partitions: Collection[int]) -> None:
        """Forget these: hand out nothing more of them, and commit nothing."""
        with self._lock:
            kept = [m for m in self._fetched if m.partition not in partitions]
            self._fetched.clear()  # in place: this may be within a poll that adds to it
            self._fetched.extend(kept)
            self._again = [m for m in self._again if m.partition not in partitions]
            for loop, message in list(self._in_hand.items()):
                if message.partition in partitions:
                    del self._in_hand[loop]
            for partition in partitions:
                self._done.pop(partition, None)
                self._committed.pop(partition, None)

    def close(self, commit: Commit) -> None:
        """End the loops and commit what is done; calling it twice is fine. Blocks; raises QueueError."""
        self._closed.set()
        try:
            self._commit_done(commit)
        except TransientError as error:
            logger.warning("%s: not committed, it is delivered again: %s", self._topic, error)
        finally:
            self._forget_all()

    def forked(self) -> None:
        """This is a copy in a forked process: all is the parent's."""
        self._closed.set()
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._forget_all()

    def _forget_all(self) -> None:
        with self._lock:
            for kept in (self._fetched, self._again, self._in_hand, self._done):
                kept.clear()

    def _next(self, loop: object, poll: Poll, commit: Commit) -> Message | None:
        """The next message; None if the consumer is closed, or has been idle for as long as it may."""
        self._finish(loop, commit)
        until = float("inf") if self._idle_timeout is None else time.monotonic() + self._idle_timeout
        while not self._closed.is_set():
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            waits = self.paused or not (self._fetched or self._again)
            remaining = until - time.monotonic()
            if waits or self._is_late:
                try:
                    self._fetch(poll, max(0.0, min(_LONGEST_POLL, remaining)) if waits else 0.0)
                except ConsumerClosed:
                    if self._closed.is_set():
                        break
                    raise
            if (message := self._hand_out(loop)) is not None:
                return message
            if remaining <= 0:
                break
        return None

    @property
    def _is_late(self) -> bool:
        return time.monotonic() - self._polled_at >= _KEEP_UP

    def _fetch(self, poll: Poll, timeout: float) -> None:
        with self._polling:
            if timeout and self._fetched and not self.paused:
                return  # another thread's loop has polled meanwhile
            # In one step: an interrupt in between would lose them.
            self._fetched.extend(poll(timeout, 1 if self._fetched else _FETCH))
            self._polled_at = time.monotonic()

    def _hand_out(self, loop: object) -> Message | None:
        with self._lock:
            if self.paused or self._closed.is_set() or not (self._again or self._fetched):
                return None
            waiting = self._again or self._fetched
            # In this order: an interrupt in between hands a message out twice, and loses none.
            message = self._in_hand[loop] = waiting[0]
            del waiting[0]
            return message

    def _finish(self, loop: object, commit: Commit) -> None:
        """The body of the loop has run: the message that it had is done."""
        with self._lock:
            message = self._in_hand.pop(loop, None)
            if message is None or self._closed.is_set():
                return
            last = self._done.get(message.partition)
            if last is None or last.offset < message.offset:
                self._done[message.partition] = message
            if self._committer is None:
                self._start_committer(commit)

    def _start_committer(self, commit: Commit) -> None:
        self._committer = threading.Thread(
            target=self._commit_by_itself, args=(commit,), name="estela-commit", daemon=True
        )
        try:
            self._committer.start()
        except RuntimeError:  # no threads any more, as the interpreter shuts down: it is committed at the end
            self._committer = None

    def _leave(self, loop: object) -> None:
        """The loop is left: the message that it had is the first of the next loop."""
        with self._lock:
            message = self._in_hand.pop(loop, None)
            if message is None or self._closed.is_set():
                return
            self._again = sorted([*self._again, message])
            partition, offset, times = self._left_at
            same = (partition, offset) == (message.partition, message.offset)
            self._left_at = message.partition, message.offset, times + 1 if same else 1
        if self._left_at[2] == _STUCK:
            logger.warning(
                "%s: %d loops in turn were left at partition %d, offset %d, and the next begins with it "
                "again. Keep one iterator for next(), or commit the message's `next` to go on behind it.",
                self._topic,
                *(_STUCK, message.partition, message.offset),
            )

    def _commit_by_itself(self, commit: Commit) -> None:
        while True:
            self._closed.wait(_COMMIT_INTERVAL)
            try:
                if not self._closed.is_set():
                    self._commit_done(commit)
            except TransientError as error:
                if not self._told_away:
                    self._told_away = True
                    logger.warning("%s: not committed yet, it is tried again: %s", self._topic, error)
            except BaseException as error:  # noqa: BLE001  (the next loop raises it)
                self._error = error
            with self._lock:
                if self._closed.is_set() or self._error or not self._open_positions():
                    self._committer = None
                    return

    def _commit_done(self, commit: Commit) -> None:
        with self.committing:
            with self._lock:
                positions = self._open_positions()
            if positions:
                commit(positions)
                with self._lock:
                    self._committed.update((partition, offset) for _, partition, offset in positions)
                self._told_away = False

    def _open_positions(self) -> list[Position]:
        """What is to be committed: in each partition, all before the first message that is not done."""
        first: dict[int, int] = {}
        for message in (*self._again, *self._fetched, *self._in_hand.values()):
            first[message.partition] = min(message.offset, first.get(message.partition, message.offset))
        positions = []
        for partition, message in self._done.items():
            position = message.next
            position = position._replace(offset=min(position.offset, first.get(partition, position.offset)))
            if position.offset > self._committed.get(partition, 0):
                positions.append(position)
        return positions
