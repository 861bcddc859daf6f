"""Reading the embedded queue as the one reader of a group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from estela_queue_adapter.errors import CommitRefused, ConsumerClosed, QueueUnreachable
from estela_queue_adapter.interfaces import Consumer, PartitionListener
from estela_queue_adapter.lifecycle import interpreter_ended, watch
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.platforms.embedded.inherited import keep_inherited
from estela_queue_adapter.platforms.embedded.log import PARTITION, EmbeddedLog
from estela_queue_adapter.platforms.embedded.turn import ReaderTurn
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_names import checked_topic

_LOOK_AGAIN = 0.02  # seconds between looks at a log that has nothing new


class EmbeddedConsumer(Consumer):
    """The one reader of its group and topic, while it is its turn."""

    def __init__(self, path: Path, subscription: Subscription, listener: PartitionListener) -> None:
        self._path = path
        self._subscription = subscription
        self._listener = listener
        self._group, self._topic = subscription.group_id, checked_topic(subscription.topic)
        self._turn = ReaderTurn(path, self._group, self._topic)
        self._log: EmbeddedLog | None = None
        self._offset = 0
        self._closed = False
        watch(self)

    @property
    def subscription(self) -> Subscription:
        return self._subscription

    def get_connection(self) -> bool:
        try:
            self._open()
        except QueueUnreachable:
            return False
        return True

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        return self.iteration.take(self.fetch, max_messages) or self.fetch(timeout, max_messages)

    def fetch(self, timeout: float, max_messages: int) -> Sequence[Message]:
        deadline = time.monotonic() + timeout
        while True:
            log = self._open()
            if self._has_turn(log) and not self.iteration.paused:
                messages = self._read(log, max_messages)
                if messages:
                    return messages
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return []
            time.sleep(min(_LOOK_AGAIN, remaining))

    def _read(self, log: EmbeddedLog, max_messages: int) -> Sequence[Message]:
        before = self._offset
        try:
            messages = log.read(self._topic, before, max_messages)
            if messages:
                self._offset = messages[-1].offset + 1
            return messages
        except BaseException:  # Ctrl-C, say: what was not handed out is read again
            self._offset = before
            raise

    def commit(self, positions: Iterable[Position]) -> None:
        for position in positions:
            with self.iteration.committing:
                log = self._open()
                if not self._turn.is_held(log):
                    raise CommitRefused(
                        f"another reader of {self._group} has {self._topic}, or it was recreated"
                    )
                log.commit(self._group, self._topic, position.offset)
            self.iteration.committed([position])

    def positions(self) -> Sequence[Position]:
        log = self._open()
        log.end(self._topic)
        offset = self._offset if self._turn.is_held(log) else log.position(self._group, self._topic)
        waiting = self.iteration.next_offset(PARTITION)
        offset = offset if waiting is None else waiting
        return [Position(self._topic, PARTITION, offset)]

    def end_positions(self) -> Sequence[Position]:
        return [Position(self._topic, PARTITION, self._open().end(self._topic))]

    def close(self) -> None:
        try:
            self.iteration.close(self.commit)
        finally:
            self._closed = True
            self._turn.end()
            log, self._log = self._log, None
            if log is not None:
                log.close()

    def end(self, timeout: float) -> None:
        self.close()

    def forked(self) -> None:
        self.iteration.forked()
        self._closed = True
        self._turn.forked()
        if self._log is not None:
            keep_inherited(self._log)
            self._log = None

    def _open(self) -> EmbeddedLog:
        if self._closed or interpreter_ended():
            raise ConsumerClosed(f"the consumer of {self._topic} is closed")
        if self._log is None:
            self._log = EmbeddedLog(self._path)
        return self._log

    def _has_turn(self, log: EmbeddedLog) -> bool:
        """Whether it is our turn, which begins now if it is nobody's."""
        if self._turn.is_held(log):
            return True
        with self.iteration.committing:  # what was done in another turn is not committed in this one
            self._lose_turn(log)
            if not self._turn.acquire():
                return False
            self._offset = log.enter(self._group, self._topic)
            self._turn.begin(log)
        self._listener.partitions_assigned([PARTITION])
        return True

    def _lose_turn(self, log: EmbeddedLog) -> None:
        """Tell the listener that what it has in hand can no longer be committed, if it had the turn."""
        was_ours = self._turn.taken
        self._turn.end()
        if was_ours:
            self.iteration.lost([PARTITION])
            self._listener.partitions_lost([PARTITION])
            if not self._turn.is_on(log):
                self._listener.messages_gone(PARTITION, self._offset, log.position(self._group, self._topic))
