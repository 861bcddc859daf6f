"""Every message that the queue has not acknowledged yet, in order, and where it is.

A message is in memory, in flight, or in the outbox's file (where it stays while it is in flight). Whatever
the file holds is older than whatever waits in memory, so the file is emptied first.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from estela_scrapy.delivery.in_memory import Flight, InFlight, Intake, LongWait, Waiting, weight
from estela_scrapy.delivery.outbox import Outbox, OutboxError, PendingMessage, RefusedMessage

BURST = 1_000  # messages that are taken at once
# Messages in flight. The client holds a dozen objects for each, and the garbage collector stops every thread,
# the reactor's too, while it walks through them: so many cost it some milliseconds.
_MOST_IN_FLIGHT = 2_000
_SPILL = 2_000  # messages that are moved to the file at once


class Mode(enum.Enum):
    """When messages go through the file."""

    OVERFLOW = "overflow"  # when the queue is unavailable or slower than the crawl
    ALWAYS = "always"  # each, before it is sent


class Undelivered(NamedTuple):
    """How many messages wait in the file, and how many are lost because it could not be written, and why."""

    waiting: int
    lost: int
    why: str = ""


class Closed(NamedTuple):
    """What `DeliveryBuffer.close` found."""

    undelivered: Undelivered
    refused: list[RefusedMessage]
    """By the queue, and not returned by `apply_outcomes` before."""


@dataclass(slots=True)
class _FileState:
    """What is known of the outbox's file."""

    usable: bool = True
    looked_at: bool = False
    messages: int = 0
    """That are to be sent, those in flight included."""
    read_upto: PendingMessage | None = None
    lost: int = 0
    """Messages that could not be written at the end."""
    why_lost: str = ""


@dataclass(slots=True)
class _Outcomes:
    """The queue's answers that nothing has followed from yet."""

    requeued: list[Flight] = field(default_factory=list)
    acked: list[PendingMessage] = field(default_factory=list)
    """Of the file."""
    refused: list[tuple[RefusedMessage, bool]] = field(default_factory=list)
    """Each with whether it is in the file."""


class DeliveryBuffer:
    """Safe to share among threads. `put` and `full` wait for nothing, not even a lock; all else may.

    Memory and flight hold `buffer_bytes` at most together, but for what is put while it is `full`: whoever
    puts looks at that. Half of it may be in flight, and no more than two thousand messages.

    The reactor and whatever logs call `put` and `full`; the publisher's spiller `open_file`, `waits_long`,
    `spill` and `persist_in_flight`; its sender `take`, `apply_outcomes` and `restore`; the producer's threads
    say what became of a message.
    """

    def __init__(self, outbox: Outbox, buffer_bytes: int, mode: Mode) -> None:
        self._outbox = outbox
        self._buffer_bytes = buffer_bytes
        self._mode = mode
        self._intake = Intake(outbox.session)
        # Guards the file and `_file`; held while messages change their place. Taken before `_quick`.
        self._moving = threading.RLock()
        self._file = _FileState()
        # Guards what follows, and what is taken from `_intake`, for moments. `put` only tries to take it, and
        # `full` and `half_full` look at bytes without it: a signal's handler or a destructor may log a line,
        # and so put a message, in the middle of what its thread does with the lock held.
        self._quick = threading.Lock()
        self._waiting = Waiting()
        self._long_wait = LongWait(time.monotonic)
        self._in_flight = InFlight()
        self._outcomes = _Outcomes()
        self._closed = False

    def open_file(self) -> None:
        """Open the outbox if there is one: an earlier crawl's messages are sent first. Raises OutboxError."""
        with self._moving:
            try:
                if not self._file.looked_at and self._outbox.exists():
                    self._outbox.adopt()
                    self._file.messages = self._outbox.pending()
            finally:
                self._file.looked_at = True

    def put(self, stream: str, topic: str, data: bytes) -> None:
        """Take a message into memory."""
        self._intake.append((stream, topic, data))
        if self._quick.acquire(False):  # else the next call takes it in
            try:
                self._intake.move_to(self._waiting)
            finally:
                self._quick.release()

    def accepted(self, stream: str) -> int:
        """How many messages of the stream were put."""
        with self._quick:
            self._intake.move_to(self._waiting)
            return self._intake.accepted[stream]

    @property
    def full(self) -> bool:
        """Whether memory holds all that it may, as it was a moment ago."""
        return self._waiting.bytes + self._in_flight.bytes >= self._buffer_bytes

    @property
    def half_full(self) -> bool:
        """Whether it is time to begin to move to the file what waits in memory."""
        return self._waiting.bytes + self._in_flight.bytes >= self._buffer_bytes // 2

    def waits_long(self) -> bool:
        """Whether something has waited in memory for some seconds. For one thread that looks now and then."""
        with self._quick:
            self._intake.move_to(self._waiting)
            return self._long_wait.is_seen(self._waiting.oldest, self._intake.number)

    def note_file(self, *, usable: bool) -> None:
        """Note whether the file can be used. If not, no message has to pass it: the queue may be there."""
        with self._moving:
            self._file.usable = usable

    @property
    def in_flight_full(self) -> bool:
        """Whether nothing more may be in flight now."""
        with self._quick:
            return min(self._in_flight_capacity()) <= 0

    @property
    def in_flight(self) -> int:
        """How many messages are in flight."""
        with self._quick:
            return len(self._in_flight)

    @property
    def idle(self) -> bool:
        """Whether nothing remains to be sent, of an earlier crawl's neither."""
        with self._moving, self._quick:
            self._intake.move_to(self._waiting)
            remaining = (
                self._waiting,
                self._in_flight,
                self._outcomes.requeued,
                self._outcomes.acked,
                self._outcomes.refused,
                self._file.messages,
            )
            return self._file.looked_at and not any(remaining)

    def spill(self) -> int:
        """Move what waits in memory to the file, as far as there is room; how many. Raises OutboxError."""
        spilled = 0
        while True:
            with self._moving:
                with self._quick:
                    self._intake.move_to(self._waiting)
                    messages = self._waiting.first_that_fit(_SPILL, self._outbox.free_bytes)
                if not messages:
                    return spilled
                self._outbox.add(messages)
                self._file.messages += len(messages)
                with self._quick:
                    self._waiting.drop(messages)
                spilled += len(messages)

    def persist_in_flight(self) -> None:
        """Write what is in flight to the file too, if there is room: it may be lost. Raises OutboxError."""
        with self._moving:
            with self._quick:
                messages = self._in_flight.only_in_memory()
            if not messages or weight(messages) > self._outbox.free_bytes:
                return
            self._outbox.add(messages)
            self._file.messages += len(messages)
            # They were taken while the file was empty, so that all that is unread there is newer.
            self._file.read_upto = max(self._file.read_upto or messages[-1], *messages)
            with self._quick:
                self._now_in_file({message.key: message for message in messages})

    def take(self) -> list[PendingMessage]:
        """The next messages to send; they are in flight from here on. Raises OutboxError."""
        with self._moving:
            with self._quick:
                self._intake.move_to(self._waiting)
                count, room = self._in_flight_capacity()
                count = min(count, BURST)
                if self._closed or not self._file.looked_at or count <= 0 or room <= 0:
                    return []
                if not self._file.messages:
                    messages = [] if self._must_pass_file else self._waiting.take(count, room)
                    self._in_flight.add(messages, from_file=False)
                    return messages
            messages = self._outbox.read(self._file.read_upto, count, room)
            self._file.read_upto = messages[-1] if messages else self._file.read_upto
            with self._quick:
                self._in_flight.add(messages, from_file=True)
        return messages

    def acknowledge(self, messages: Sequence[PendingMessage]) -> None:
        """The queue has them."""
        with self._quick:
            self._outcomes.acked += self._in_flight.acknowledge(messages)

    def refuse(self, message: PendingMessage, reason: str) -> None:
        """The queue will never take it."""
        with self._quick:
            if flight := self._in_flight.remove(message):
                self._outcomes.refused.append((RefusedMessage(message, reason), flight.from_file))

    def requeue(self, message: PendingMessage) -> None:
        """The queue has not taken it: it waits until `restore` puts it back in its place."""
        with self._quick:
            if flight := self._in_flight.remove(message):
                self._outcomes.requeued.append(flight)

    @property
    def any_requeued(self) -> bool:
        """Whether something waits for `restore`."""
        with self._quick:
            return bool(self._outcomes.requeued)

    def apply_outcomes(self) -> list[RefusedMessage]:
        """Bring the file up to date with what the queue took and refused; the latter. Raises OutboxError."""
        with self._moving:
            with self._quick:
                acked, refused = list(self._outcomes.acked), list(self._outcomes.refused)
            if acked:
                self._outbox.done(acked)
                self._file.messages -= len(acked)
                with self._quick:
                    del self._outcomes.acked[: len(acked)]
            if refused:
                self._outbox.reject([message for message, _ in refused])
                self._file.messages -= sum(from_file for _, from_file in refused)
                with self._quick:
                    del self._outcomes.refused[: len(refused)]
            return [message for message, _ in refused]

    def restore(self) -> None:
        """Put what was requeued back in its place. Only while nothing is in flight. Raises OutboxError."""
        with self._moving:
            with self._quick:
                messages = sorted(
                    flight.message for flight in self._outcomes.requeued if not flight.from_file
                )
                if not self._file.messages:
                    self._waiting.put_back(messages)
                    messages = []
            if messages:  # what is in the file is newer: these go before it
                self._outbox.add(messages)
                self._file.messages += len(messages)
            with self._quick:
                self._outcomes.requeued.clear()
            self._file.read_upto = None

    def close(self) -> Closed:
        """Put all that is in memory or in flight into the file, whatever its bound, and close it.

        Nothing is taken from then on. May be called again, for what was put meanwhile.
        """
        refused: list[RefusedMessage] = []
        with self._moving:
            messages = self._take_everything()
            try:
                if messages:
                    self._outbox.add(messages)
                    self._file.messages += len(messages)
                    messages = []
                refused = self.apply_outcomes()
            except OutboxError as error:
                self._file.lost += len(messages) + self._drop_refused()
                self._file.why_lost = str(error)
            finally:
                self._outbox.close()
            file = self._file
            return Closed(Undelivered(file.messages, file.lost, file.why_lost), refused)

    @property
    def _must_pass_file(self) -> bool:
        """Whether what waits in memory is not to be sent from there. With `_moving` held."""
        return self._mode is Mode.ALWAYS and self._file.usable

    def _take_everything(self) -> list[PendingMessage]:
        """What is in memory or in flight and not in the file."""
        with self._quick:
            self._closed = True
            self._intake.move_to(self._waiting)
            flights = [*self._in_flight.clear(), *self._outcomes.requeued]
            in_memory = [flight.message for flight in flights if not flight.from_file]
            self._outcomes.requeued.clear()
            return sorted([*in_memory, *self._waiting.clear()])

    def _drop_refused(self) -> int:
        """Drop what was refused and is in no file; how many."""
        with self._quick:
            before = len(self._outcomes.refused)
            self._outcomes.refused = [one for one in self._outcomes.refused if one[1]]
            return before - len(self._outcomes.refused)

    def _in_flight_capacity(self) -> tuple[int, int]:
        """How many more messages, of how many bytes, may be in flight. With `_quick` held."""
        return _MOST_IN_FLIGHT - len(self._in_flight), self._buffer_bytes // 2 - self._in_flight.bytes

    def _now_in_file(self, messages: dict[tuple[str, int], PendingMessage]) -> None:
        """Note where these are, wherever they have come meanwhile. With both locks held."""
        self._in_flight.now_in_file(messages)
        for number, (message, _) in enumerate(self._outcomes.requeued):
            if messages.pop(message.key, None):
                self._outcomes.requeued[number] = Flight(message, True)
        for number, (refused, _) in enumerate(self._outcomes.refused):
            if messages.pop(refused.message.key, None):
                self._outcomes.refused[number] = refused, True
        self._outcomes.acked += messages.values()
