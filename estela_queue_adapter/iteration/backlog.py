"""The messages of all loops over one consumer: fetched, in hand, and done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable

from estela_queue_adapter.messages import Message, Position


class Backlog:
    """What is in hand and done of each loop; threads share it. Nothing is handed out once it is closed."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        # Guards what follows, for moments. Without it, what is polled is added to `fetched`, in one step, and
        # `is_empty` looks. It may be taken again, as signal handlers may come in and close the consumer.
        self.lock = threading.RLock()
        self.fetched: deque[Message] = deque()
        self._given_back: list[Message] = []  # in hand when loops were left: they come before what is fetched
        self._in_hand: dict[object, Message] = {}  # by loop
        self._done: dict[int, Message] = {}  # by partition: the last message that is done
        self._committed: dict[int, int] = {}
        self._left_at: tuple[int, int, int] = (-1, -1, 0)  # partition, offset, and how often in turn

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to hand out."""
        return not (self.fetched or self._given_back)

    def take(self, max_messages: int) -> list[Message]:
        """The first of them, for whoever polls beside the loops."""
        with self.lock:
            taken, self._given_back = self._given_back[:max_messages], self._given_back[max_messages:]
            while self.fetched and len(taken) < max_messages:
                taken.append(self.fetched.popleft())
        return taken

    def next_offset(self, partition: int) -> int | None:
        """The first offset of the partition that is to be handed out, if there is one."""
        with self.lock:
            waiting = (*self._given_back, *self.fetched)
        return min((message.offset for message in waiting if message.partition == partition), default=None)

    def hand_out(self, loop: object) -> Message | None:
        """The next message, in the hand of the loop."""
        with self.lock:
            if self._closed.is_set() or self.is_empty:
                return None
            waiting = self._given_back or self.fetched
            # In this order: an interrupt in between hands a message out twice, and loses none.
            message = self._in_hand[loop] = waiting[0]
            del waiting[0]
            return message

    def finish(self, loop: object) -> bool:
        """The message that the loop has in hand is done; whether there was one, and it is open still."""
        with self.lock:
            message = self._in_hand.pop(loop, None)
            if message is None or self._closed.is_set():
                return False
            last = self._done.get(message.partition)
            if last is None or last.offset < message.offset:
                self._done[message.partition] = message
            return True

    def give_back(self, loop: object) -> tuple[Message, int] | None:
        """The message in the loop's hand, which the next loop begins with; how often in turn that was so."""
        with self.lock:
            message = self._in_hand.pop(loop, None)
            if message is None or self._closed.is_set():
                return None
            self._given_back = sorted([*self._given_back, message])
            partition, offset, times = self._left_at
            same = (partition, offset) == (message.partition, message.offset)
            self._left_at = message.partition, message.offset, times + 1 if same else 1
            return message, self._left_at[2]

    def committed(self, positions: Iterable[Position]) -> None:
        """Somebody has committed these: what was handed out before them is done."""
        with self.lock:
            for _, partition, offset in positions:
                self._committed[partition] = offset
                self._given_back = [
                    m for m in self._given_back if m.partition != partition or m.offset >= offset
                ]
                for loop, message in list(self._in_hand.items()):
                    if message.partition == partition and message.offset < offset:
                        del self._in_hand[loop]

    def committed_done(self, positions: Iterable[Position]) -> None:
        """These of `open_positions` are committed."""
        with self.lock:
            self._committed.update((partition, offset) for _, partition, offset in positions)

    def open_positions(self) -> list[Position]:
        """What is to be committed: in each partition, all before the first message that is not done."""
        with self.lock:
            first: dict[int, int] = {}
            for message in (*self._given_back, *self.fetched, *self._in_hand.values()):
                first[message.partition] = min(message.offset, first.get(message.partition, message.offset))
            positions = []
            for partition, message in self._done.items():
                position = message.next
                before = min(position.offset, first.get(partition, position.offset))
                if before > self._committed.get(partition, 0):
                    positions.append(position._replace(offset=before))
            return positions

    def lose(self, partitions: Collection[int]) -> None:
        """Forget these: hand out nothing more of them, and have nothing of them committed."""
        with self.lock:
            kept = [m for m in self.fetched if m.partition not in partitions]
            self.fetched.clear()  # in place: this may be within a poll that adds to it
            self.fetched.extend(kept)
            self._given_back = [m for m in self._given_back if m.partition not in partitions]
            for loop, message in list(self._in_hand.items()):
                if message.partition in partitions:
                    del self._in_hand[loop]
            for partition in partitions:
                self._done.pop(partition, None)
                self._committed.pop(partition, None)

    def clear(self) -> None:
        """Forget all, as the consumer is closed."""
        with self.lock:
            for kept in (self.fetched, self._given_back, self._in_hand, self._done):
                kept.clear()

    def forked(self) -> None:
        """This is a copy in a forked process: all is the parent's."""
        self.lock = threading.RLock()  # another thread of the parent may have held it
        self.clear()
