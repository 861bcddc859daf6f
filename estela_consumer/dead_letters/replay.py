"""The dead letters of a topic, read back: what they say, which are still open, and their way home."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from estela_consumer.dead_letters.publisher import dead_letter_topic
from estela_consumer.decoding.dataset import Dataset, dataset_of
from estela_consumer.errors import BadMessage
from estela_queue_adapter import Message, Outgoing, Platform, Transactions, Unreadable
from estela_queue_adapter.errors import MessageRejected, SerializationError, TopicMissing
from estela_queue_adapter.interfaces import Headers
from estela_wire.headers import (
    PREFIX,
    Origin,
    header_texts,
    headers_bytes,
    number,
    read_origin,
    replay_headers,
    unescaped,
)

_REPLAY_COUNT = 100  # letters in one transaction
_REPLAY_BYTES = 512 * 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    origin: Origin
    reason: str
    error: str
    time: str
    """When it became one, ISO 8601."""
    replays: int
    """How often it was replayed before."""
    truncated: int | None
    """The bytes of the whole value, where `data` is only its beginning; likewise of the two below."""
    truncated_key: int | None
    truncated_headers: int | None
    unreadable_from: int | None
    """The first of the offsets, up to its own, that `data` is the raw bytes of, being no message."""
    letter_key: bytes | None
    """The key that its copies share."""
    key: bytes | None
    """The message's own."""
    headers: Headers
    """The message's own."""
    data: bytes

    @classmethod
    def of(cls, message: Message) -> Letter | None:
        """Read it; what a header does not say is empty. None for what is no dead letter."""
        told = header_texts(message.headers)
        origin = read_origin(told)
        if origin is None or message.data is None or isinstance(message.data, Unreadable):
            return None
        return cls(
            origin,
            told.get("reason", ""),
            told.get("error", ""),
            told.get("time", ""),
            number(told.get("replays")) or 0,
            number(told.get("truncated")),
            number(told.get("truncated-key")),
            number(told.get("truncated-headers")),
            number(told.get("unreadable-from")),
            message.key,
            next((value for name, value in message.headers if name == f"{PREFIX}key"), None),
            unescaped(message.headers),
            message.data,
        )

    @property
    def not_whole(self) -> str:
        """Why the message cannot be sent back as it was; empty if it can."""
        if self.unreadable_from is not None:
            return "holds bytes that are no message"
        cuts = {"value": self.truncated, "key": self.truncated_key, "headers": self.truncated_headers}
        parts = " and ".join(name for name, size in cuts.items() if size is not None)
        return f"holds only the beginning of its message's {parts}" if parts else ""

    @property
    def place(self) -> str:
        """`PARTITION:OFFSET`, where it was."""
        return f"{self.origin.partition}:{self.origin.offset}"

    @property
    def bytes(self) -> int:
        """About what its message takes on the way."""
        return len(self.data) + len(self.key or b"") + headers_bytes(self.headers)

    @property
    def dataset(self) -> Dataset | None:
        """Where it belongs, if it says so."""
        try:
            envelope = self.value
            names = (envelope.get(name) for name in ("jid", "db_name", "dataset_name"))
            return dataset_of(self.origin.topic, *names)
        except (BadMessage, SerializationError, AttributeError, TypeError):
            return None

    @property
    def value(self) -> Any:
        """The JSON value; raises SerializationError where it is none."""
        return Message("", 0, 0, 0.0, None, self.data, ()).value

    def as_json(self) -> dict[str, Any]:
        """For machines; the message is in `text`, or in `base64` where it is no UTF-8."""
        told = {
            "topic": self.origin.topic,
            "partition": self.origin.partition,
            "offset": self.origin.offset,
            "timestamp": self.origin.timestamp,
            "reason": self.reason,
            "error": self.error,
            "time": self.time,
            "replays": self.replays,
            "truncated": self.truncated,
            "truncated_key": self.truncated_key,
            "truncated_headers": self.truncated_headers,
            "unreadable_from": self.unreadable_from,
            "dataset": str(self.dataset) if self.dataset else None,
            "key": None if self.key is None else base64.b64encode(self.key).decode(),
            "headers": [
                (name, None if value is None else base64.b64encode(value).decode())
                for name, value in self.headers
            ],
        }
        try:
            return {**told, "text": self.data.decode()}
        except UnicodeDecodeError:
            return {**told, "base64": base64.b64encode(self.data).decode()}

    def replayed(self) -> tuple[Outgoing, Outgoing]:
        """The message on its way back, and the tombstone that settles the letter."""
        headers = [*replay_headers(self.origin, self.replays + 1), *self.headers]
        topic = self.origin.topic
        return (
            Outgoing(topic, self.data, self.key, headers, self.origin.partition),
            Outgoing(dead_letter_topic(topic), None, self.letter_key),
        )


@dataclass(slots=True)
class Replay:
    """What came of a replay."""

    replayed: int = 0
    truncated: int = 0
    """Left, because the letter does not hold the whole of its message."""
    refused: int = 0
    """Left, because the queue refuses the message."""


class Mailbox:
    """The dead letters of one topic. A letter that was replayed, or a second copy of one, is not seen."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self._platform = platform
        self._topic = topic

    def letters(self, wanted: Callable[[Letter], bool] = lambda _: True) -> Iterator[Letter]:
        """Those still open that are `wanted`. Reads the topic twice; raises QueueError."""
        latest = self._latest()
        for message in self._messages() if latest else ():
            if latest.get(message.key) == (message.partition, message.offset):
                letter = Letter.of(message)
                if letter is not None and wanted(letter):
                    yield letter

    def replay(self, wanted: Callable[[Letter], bool]) -> Replay:
        """Send the wanted ones back to their topic, each exactly once even if this is killed meanwhile.

        Raises QueueError; what was not replayed by then is still a letter.
        """
        replay = Replay()
        # Opened first: it undoes what a killed replay left half done, and ends one that still runs.
        with self._platform.transactions(f"estela-replay-{self._topic}") as transactions:
            chunk: list[Letter] = []
            for letter in self.letters(wanted):
                if letter.not_whole:
                    logger.error("%s %s: not replayed.", letter.place, letter.not_whole)
                    replay.truncated += 1
                    continue
                chunk.append(letter)
                if len(chunk) == _REPLAY_COUNT or sum(one.bytes for one in chunk) >= _REPLAY_BYTES:
                    self._send(transactions, chunk, replay)
                    chunk = []
            self._send(transactions, chunk, replay)
        return replay

    def _send(self, transactions: Transactions, chunk: list[Letter], replay: Replay) -> None:
        if not chunk:
            return
        try:
            transactions.publish([message for letter in chunk for message in letter.replayed()])
        except MessageRejected as error:
            if len(chunk) == 1:
                logger.error("%s is refused by the queue: %s", chunk[0].place, error)
                replay.refused += 1
                return
            for letter in chunk:
                self._send(transactions, [letter], replay)
        else:
            replay.replayed += len(chunk)

    def _latest(self) -> dict[bytes | None, tuple[int, int]]:
        """Where the latest copy of each open letter lies."""
        latest: dict[bytes | None, tuple[int, int]] = {}
        foreign = 0
        for message in self._messages():
            if message.data is None:
                latest.pop(message.key, None)
                continue
            letter = Letter.of(message)
            if letter is not None and letter.origin.topic == self._topic:
                latest[message.key] = (message.partition, message.offset)
            else:
                foreign += 1
        if foreign:
            logger.warning(
                "%d message(s) in %s are no dead letters of %s: passed over.",
                foreign, dead_letter_topic(self._topic), self._topic,
            )  # fmt: skip
        return latest

    def _messages(self) -> Iterator[Message]:
        try:
            yield from self._platform.read(dead_letter_topic(self._topic))
        except TopicMissing:  # there never was one
            return
