"""Every message that the queue has not acknowledged yet, in order, and where it is.

A message is in memory, in flight, or in the outbox's file (where it stays while it is in flight). Whatever
the file holds is older than whatever waits in memory, so the file is emptied first.
"""

from __future__ import annotations

import enum
import threading
from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from estela_scrapy.outbox import Letter, Outbox, OutboxError, Rejected

BURST = 500  # messages that are taken at once
# Messages in flight. The client holds a dozen objects for each, and the garbage collector stops every thread,
# the reactor's too, while it walks through them: so many cost it some milliseconds.
_FLIGHT = 1_000
_SPILL = 2_000  # messages that are spilled at once
_OVERHEAD = 250  # bytes that a message costs in memory besides its data, about


class Mode(enum.Enum):
    """When messages go through the file."""

    OVERFLOW = "overflow"  # when the queue is away or slower than the crawl
    ALWAYS = "always"  # each, before it is sent


class Left(NamedTuple):
    """How many messages wait in the file, and how many are lost because it could not be written, and why."""

    waiting: int
    lost: int
    why: str = ""


class _Flight(NamedTuple):
    letter: Letter
    from_file: bool


class Spool:
    """Safe to share among threads. `put` never waits for the file; everything else may.

    Memory and flight hold `buffer_bytes` at most together, but for what is put while it is `full`: who puts
    looks at that. Half of it may be in flight, and no more than a thousand messages.
    """

    def __init__(self, outbox: Outbox, buffer_bytes: int, mode: Mode) -> None:
        self._outbox = outbox
        self._buffer_bytes = buffer_bytes
        self.through_file = mode is Mode.ALWAYS
        """Whether what is put must pass the file; not while it cannot be used, as the queue may be there."""
        self._moving = threading.RLock()  # held while letters change their place
        self._quick = threading.Lock()  # guards what follows, for moments
        self.accepted: Counter[str] = Counter()
        self._numbers = 0
        self._memory: deque[Letter] = deque()
        self._memory_bytes = 0
        self._flying: dict[tuple[str, int], _Flight] = {}
        self._flying_bytes = 0
        self._returned: list[_Flight] = []
        self._landed: list[Letter] = []  # from the file, which does not know it yet
        self._refused: list[tuple[Rejected, bool]] = []
        self._looked = False
        self._in_file = 0
        self._read_upto: Letter | None = None
        self._saved = False
        self._lost = 0
        self._why_lost = ""

    def open_file(self) -> None:
        """Open the outbox if there is one, so that what an earlier crawl left is sent. Raises OutboxError."""
        with self._moving:
            try:
                if not self._looked and self._outbox.exists():
                    self._outbox.adopt()
                    self._in_file = self._outbox.pending()
            finally:
                self._looked = True

    def put(self, stream: str, topic: str, data: bytes) -> None:
        """Take a message into memory."""
        with self._quick:
            self._numbers += 1
            self.accepted[stream] += 1
            self._memory_bytes += len(data) + _OVERHEAD
            self._memory.append(Letter(self._outbox.session, self._numbers, stream, topic, data))

    @property
    def full(self) -> bool:
        """Whether memory holds all that it may."""
        return self._memory_bytes + self._flying_bytes >= self._buffer_bytes

    @property
    def half_full(self) -> bool:
        """Whether it is time to begin to move to the file what waits in memory."""
        return self._memory_bytes + self._flying_bytes >= self._buffer_bytes // 2

    @property
    def flight_full(self) -> bool:
        """Whether nothing more may be in flight now."""
        return len(self._flying) >= _FLIGHT or self._flying_bytes >= self._buffer_bytes // 2

    @property
    def flying(self) -> int:
        """How many messages are in flight."""
        return len(self._flying)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to send, of an earlier crawl's neither."""
        with self._moving, self._quick:
            left = (self._memory, self._flying, self._returned, self._refused, self._landed, self._in_file)
            return self._looked and not any(left)

    def spill(self) -> int:
        """Move what waits in memory to the file, as far as there is room; how many. Raises OutboxError."""
        spilled = 0
        while True:
            with self._moving:
                letters = self._first_that_fit(self._outbox.room)
                if not letters:
                    return spilled
                self._outbox.add(letters)
                self._in_file += len(letters)
                with self._quick:
                    for _ in letters:
                        self._memory.popleft()
                    self._memory_bytes -= _weight(letters)
                spilled += len(letters)

    def keep_flights(self) -> None:
        """Write what is in flight to the file too, if there is room; it may not land. Raises OutboxError."""
        with self._moving:
            with self._quick:
                flights = [flight.letter for flight in self._flying.values() if not flight.from_file]
            if not flights or _weight(flights) > self._outbox.room:
                return
            self._outbox.add(flights)
            self._in_file += len(flights)
            # They were taken while the file was empty, so that all that is unread there is newer.
            self._read_upto = max(self._read_upto or flights[-1], *flights)
            with self._quick:
                self._now_in_file({letter[:2]: letter for letter in flights})

    def take(self) -> list[Letter]:
        """The next messages to send; they are in flight from here on. Raises OutboxError."""
        if self.flight_full or self._saved or not self._looked:
            return []
        room = self._buffer_bytes // 2 - self._flying_bytes
        count = min(BURST, _FLIGHT - len(self._flying))
        with self._moving:
            from_file = self._in_file > 0
            if from_file:
                letters = self._outbox.read(self._read_upto, count, room)
                self._read_upto = letters[-1] if letters else self._read_upto
            with self._quick:
                if not from_file:
                    letters = [] if self.through_file else self._first_in_memory(count, room)
                for letter in letters:
                    self._flying[letter[:2]] = _Flight(letter, from_file)
                self._flying_bytes += _weight(letters)
        return letters

    def acknowledge(self, letter: Letter) -> None:
        """It has landed."""
        with self._quick:
            flight = self._land(letter)
            if flight and flight.from_file:
                self._landed.append(letter)

    def refuse(self, letter: Letter, reason: str) -> None:
        """The queue will never take it."""
        with self._quick:
            if flight := self._land(letter):
                self._refused.append((Rejected(letter, reason), flight.from_file))

    def give_back(self, letter: Letter) -> None:
        """It has not landed, and waits until `restore` puts it back in its place."""
        with self._quick:
            if flight := self._land(letter):
                self._returned.append(flight)

    @property
    def any_returned(self) -> bool:
        """Whether something waits for `restore`."""
        return bool(self._returned)

    def settle(self) -> list[Rejected]:
        """Bring the file up to date with what landed and what was refused; the latter. Raises OutboxError."""
        with self._moving:
            landed, refused = list(self._landed), list(self._refused)
            if landed:
                self._outbox.done(landed)
            if refused:
                self._outbox.reject([one for one, _ in refused])
            self._in_file -= len(landed) + sum(from_file for _, from_file in refused)
            del self._landed[: len(landed)], self._refused[: len(refused)]
            return [one for one, _ in refused]

    def restore(self) -> None:
        """Put what was given back where it was. Only while nothing is in flight. Raises OutboxError."""
        with self._moving:
            from_memory = sorted(flight.letter for flight in self._returned if not flight.from_file)
            if self._in_file and from_memory:  # what is in the file is newer: these go before it
                self._outbox.add(from_memory)
                self._in_file += len(from_memory)
            else:
                with self._quick:
                    self._memory.extendleft(reversed(from_memory))
                    self._memory_bytes += _weight(from_memory)
            self._returned.clear()
            self._read_upto = None

    def save(self) -> Left:
        """Put all that is in memory or in flight into the file, whatever its bound, and close it.

        Nothing is taken from then on. May be called again, for what was put meanwhile.
        """
        with self._moving:
            letters = self._take_everything()
            try:
                if letters:
                    self._outbox.add(letters)
                    self._in_file += len(letters)
                    letters = []
                self.settle()
            except OutboxError as error:
                self._lost += len(letters)
                self._why_lost = str(error)
            finally:
                self._outbox.close()
            return Left(self._in_file, self._lost, self._why_lost)

    def _take_everything(self) -> list[Letter]:
        """What is in memory or in flight and not in the file."""
        with self._quick:
            self._saved = True
            flights = [*self._flying.values(), *self._returned]
            flying = [flight.letter for flight in flights if not flight.from_file]
            letters = sorted([*flying, *self._memory])
            self._flying.clear()
            self._memory.clear()
            self._returned.clear()
            self._memory_bytes = self._flying_bytes = 0
            return letters

    def _land(self, letter: Letter) -> _Flight | None:
        """Take it out of the air; None where all that was flying has been saved meanwhile."""
        flight = self._flying.pop(letter[:2], None)
        if flight is not None:
            self._flying_bytes -= _weight([letter])
        return flight

    def _now_in_file(self, letters: dict[tuple[str, int], Letter]) -> None:
        """Note where these are, wherever they have come meanwhile."""
        for key in letters.keys() & self._flying.keys():
            self._flying[key] = _Flight(letters.pop(key), True)
        for number, (letter, _) in enumerate(self._returned):
            if letters.pop(letter[:2], None):
                self._returned[number] = _Flight(letter, True)
        for number, (rejected, _) in enumerate(self._refused):
            if letters.pop(rejected.letter[:2], None):
                self._refused[number] = rejected, True
        self._landed += letters.values()

    def _first_in_memory(self, count: int, room: int) -> list[Letter]:
        letters: list[Letter] = []
        while self._memory and len(letters) < count and room > 0:
            letters.append(self._memory.popleft())
            room -= _weight(letters[-1:])
        self._memory_bytes -= _weight(letters)
        return letters

    def _first_that_fit(self, room: int) -> list[Letter]:
        fitting: list[Letter] = []
        with self._quick:
            for letter in self._memory:
                room -= len(letter.data)
                if room < 0 or len(fitting) == _SPILL:
                    break
                fitting.append(letter)
        return fitting


def _weight(letters: Iterable[Letter]) -> int:
    return sum(len(letter.data) + _OVERHEAD for letter in letters)
