"""The messages in memory: those just put, those that wait, those in flight, and what they weigh."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from estela_scrapy.delivery.outbox import PendingMessage

_LONG_WAIT = 2.0  # seconds in memory; a queue that is only busy for a moment has taken it by then
_OVERHEAD = 250  # bytes that a message costs in memory besides its data, about


def weight(messages: Iterable[PendingMessage]) -> int:
    """Bytes of memory that they take, about."""
    return sum([len(message.data) + _OVERHEAD for message in messages])


class Flight(NamedTuple):
    """A message that the queue was given and has not answered for."""

    message: PendingMessage
    from_file: bool
    """Whether the outbox has it too."""


class Waiting:
    """Messages that wait in memory, oldest first. Its owner's lock guards it, but for a look at `bytes`."""

    def __init__(self) -> None:
        self._messages: deque[PendingMessage] = deque()
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._messages)

    @property
    def oldest(self) -> int | None:
        """The number of the oldest; None if nothing waits."""
        return self._messages[0].number if self._messages else None

    def append(self, message: PendingMessage) -> None:
        """Add the newest."""
        self._messages.append(message)
        self.bytes += len(message.data) + _OVERHEAD

    def put_back(self, messages: list[PendingMessage]) -> None:
        """Put what was taken, oldest first, back in front."""
        self._messages.extendleft(reversed(messages))
        self.bytes += weight(messages)

    def take(self, count: int, room: int) -> list[PendingMessage]:
        """Take the oldest: `count` messages at most, and no more once they weigh `room` bytes."""
        taken: list[PendingMessage] = []
        messages, left = self._messages, room
        while messages and len(taken) < count and left > 0:
            message = messages.popleft()
            taken.append(message)
            left -= len(message.data) + _OVERHEAD
        self.bytes -= room - left
        return taken

    def first_that_fit(self, count: int, room: int) -> list[PendingMessage]:
        """The oldest, which stay: `count` messages at most, of at most `room` bytes of data."""
        fitting: list[PendingMessage] = []
        for message in self._messages:
            room -= len(message.data)
            if room < 0 or len(fitting) == count:
                break
            fitting.append(message)
        return fitting

    def drop(self, messages: list[PendingMessage]) -> None:
        """Drop the oldest, which `first_that_fit` returned."""
        for _ in messages:
            self._messages.popleft()
        self.bytes -= weight(messages)

    def clear(self) -> list[PendingMessage]:
        """Take all of them."""
        taken = list(self._messages)
        self._messages.clear()
        self.bytes = 0
        return taken


class LongWait:
    """Whether messages wait in memory for long, for one who looks now and then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._newest = 0  # number of the newest message at a moment
        self._at = clock()  # that moment

    def is_seen(self, oldest: int | None, newest: int) -> bool:
        """Whether the oldest that waits has done so for two seconds; found out after four at most."""
        now = self._clock()
        if oldest is None or oldest > self._newest:  # what waited then has left
            self._newest, self._at = newest, now
            return False
        return now - self._at >= _LONG_WAIT


class Intake:
    """Messages that were put and have no number yet.

    Any thread may `append` (stream, topic, data) without a lock. Its owner's lock guards the rest.
    """

    def __init__(self, session: str) -> None:
        self._session = session
        self._put: deque[tuple[str, str, bytes]] = deque()
        self.number = 0
        """Of the newest that has one."""
        self.append = self._put.append
        self.accepted: Counter[str] = Counter()
        """How many messages were numbered, by stream."""

    def move_to(self, waiting: Waiting) -> None:
        """Give all of them numbers, in the order in which they were put, and let them wait."""
        while self._put:
            stream, topic, data = self._put.popleft()
            self.accepted[stream] += 1
            self.number += 1
            waiting.append(PendingMessage(self._session, self.number, stream, topic, data))


class InFlight:
    """Messages that the queue was given and has not answered for.

    Its owner's lock guards it, but for a look at `bytes`.
    """

    def __init__(self) -> None:
        self._flights: dict[tuple[str, int], Flight] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._flights)

    def add(self, messages: list[PendingMessage], *, from_file: bool) -> None:
        """Note that the queue is given these."""
        self._flights.update([(message[:2], Flight(message, from_file)) for message in messages])
        self.bytes += weight(messages)

    def remove(self, message: PendingMessage) -> Flight | None:
        """Note an answer; None if the message was taken back meanwhile."""
        flight = self._flights.pop(message.key, None)
        if flight is not None:
            self.bytes -= weight([message])
        return flight

    def acknowledge(self, messages: Iterable[PendingMessage]) -> list[PendingMessage]:
        """Note answers; those of the messages that the outbox has too."""
        flights, filed, freed = self._flights, [], 0
        for message in messages:
            flight = flights.pop(message[:2], None)
            if flight is not None:
                freed += len(message.data) + _OVERHEAD
                if flight.from_file:
                    filed.append(message)
        self.bytes -= freed
        return filed

    def only_in_memory(self) -> list[PendingMessage]:
        """Those that the outbox does not have."""
        return [flight.message for flight in self._flights.values() if not flight.from_file]

    def now_in_file(self, messages: dict[tuple[str, int], PendingMessage]) -> None:
        """Note that the outbox has these too; those that are not in flight any more remain in `messages`."""
        for key in messages.keys() & self._flights.keys():
            self._flights[key] = Flight(messages.pop(key), True)

    def clear(self) -> list[Flight]:
        """Take all of them back."""
        taken = list(self._flights.values())
        self._flights.clear()
        self.bytes = 0
        return taken
