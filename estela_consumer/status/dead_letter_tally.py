"""The open dead letters of a topic, counted by reason; read on from where it stopped, in bounded memory."""

from __future__ import annotations

import shlex
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from estela_consumer.dead_letters.replay import DeadLetter
from estela_consumer.errors import Reason
from estela_consumer.status.model import DeadLetterStatus
from estela_queue_adapter import Message, Platform
from estela_queue_adapter.errors import TopicMissing
from estela_terminal.printable import printable
from estela_wire.topics import dead_letter_topic

_MOST_OPEN = 100_000  # letters that are told apart: about 15 MB
_SAMPLES = 5  # letters of each reason that are remembered, as one of them may be settled
_SAMPLE_CHARACTERS = 300
_REASONS = frozenset(reason.value for reason in Reason)
_OTHER = "other"  # a reason that nobody here gives: its header was written by somebody else


@dataclass(frozen=True, slots=True)
class _Letter:
    key: int
    time: str
    place: str
    error: str
    sample: str


class DeadLetterTally:
    """Counts those of one topic that are not settled yet. Belongs to one thread."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self._topic = topic
        self._reader = platform.reader(dead_letter_topic(topic))
        self._begun_again = 0
        self._forget()

    def read_on(self) -> None:
        """Take what has come since the last time. Blocks; raises QueueError."""
        try:
            for message in self._reader.read_on():
                self._forget_another_topic()
                self._take(message)
            self._forget_another_topic()
        except TopicMissing:  # there never was one, or no more
            self._forget()

    def status(self) -> list[DeadLetterStatus]:
        """By reason, the most frequent first."""
        return list(self._by_reason())

    def close(self) -> None:
        """Release what is held."""
        self._reader.close()

    def _forget_another_topic(self) -> None:
        if self._reader.begun_again != self._begun_again:
            self._begun_again = self._reader.begun_again
            self._forget()

    def _forget(self) -> None:
        self._open: dict[int, str] = {}  # by a hash of its key, which its copies and its tombstone share
        self._counts: Counter[str] = Counter()
        self._samples: dict[str, deque[_Letter]] = {}
        self._has_more = False

    def _take(self, message: Message) -> None:
        key = hash((message.partition, message.offset) if message.key is None else message.key)
        if message.data is None:
            self._settle(key)
            return
        letter = DeadLetter.of(message)
        if letter is None or letter.origin.topic != self._topic:
            return
        self._settle(key)  # a copy of it
        if len(self._open) >= _MOST_OPEN:
            self._has_more = True
            return
        reason = letter.reason if letter.reason in _REASONS else _OTHER
        self._open[key] = reason
        self._counts[reason] += 1
        samples = self._samples.setdefault(reason, deque(maxlen=_SAMPLES))
        samples.append(_Letter(key, letter.time, letter.place, shortened(letter.error), _text(letter.data)))

    def _settle(self, key: int) -> None:
        reason = self._open.pop(key, None)
        if reason is not None:
            self._counts[reason] -= 1

    def _by_reason(self) -> Iterator[DeadLetterStatus]:
        for reason, count in self._counts.most_common():
            if count:
                letters = [each for each in self._samples.get(reason, ()) if each.key in self._open]
                latest = letters[-1] if letters else _Letter(0, "", "", "", "")
                yield DeadLetterStatus(
                    topic=self._topic,
                    reason=reason,
                    letters=count,
                    at_least=self._has_more,
                    latest=latest.time,
                    place=latest.place,
                    error=latest.error,
                    sample=latest.sample,
                    replay=_replay(self._topic, reason),
                )


def shortened(text: str, most: int = _SAMPLE_CHARACTERS) -> str:
    """At most so many characters, all of which can be looked at."""
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[:most]}…"


def _text(data: bytes) -> str:
    return shortened(data[: 4 * _SAMPLE_CHARACTERS].decode(errors="backslashreplace"))


def _replay(topic: str, reason: str) -> str:
    """The command that sends these back; for letters that others have made, the one that shows them."""
    if reason == _OTHER:
        return f"estela-dead-letters list {shlex.quote(topic)}"
    return f"estela-dead-letters replay {shlex.quote(topic)} --reason {reason}"
