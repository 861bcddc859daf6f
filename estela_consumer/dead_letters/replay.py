"""The dead letters of a topic, read back: what they say, which are still open, and how they are sent back."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from estela_consumer.decoding.envelope import salvaged_envelope
from estela_queue_adapter import Message, Outgoing, Platform, Transactions, Unreadable
from estela_queue_adapter.errors import BadName, MessageRejected, TopicMissing
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.serialization import deserialize
from estela_wire import headers as names
from estela_wire.dataset import Dataset, dataset_of
from estela_wire.headers import (
    Origin,
    header_texts,
    headers_bytes,
    number,
    read_origin,
    replay_headers,
    unescaped,
)
from estela_wire.topics import dead_letter_topic

_REPLAY_COUNT = 100  # letters in one transaction
_REPLAY_BYTES = 512 * 1024

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter."""

    origin: Origin
    reason: str
    error: str
    time: str
    """When it became one, ISO 8601."""
    replays: int
    """How often it was replayed before."""
    truncated: int | None
    """The bytes of the whole value, if `data` is only its beginning; likewise of the two below."""
    truncated_key: int | None
    truncated_headers: int | None
    unreadable_from: int | None
    """The first of the offsets whose raw bytes `data` has, if they are no message; its own is the last."""
    letter_key: bytes | None
    """The key that its copies share."""
    key: bytes | None
    """The message's own."""
    headers: Headers
    """The message's own."""
    data: bytes

    @classmethod
    def of(cls, message: Message) -> DeadLetter | None:
        """Read it; what a header does not say is empty. None for what is no dead letter."""
        texts = header_texts(message.headers)
        origin = read_origin(texts)
        if origin is None or message.data is None or isinstance(message.data, Unreadable):
            return None
        return cls(
            origin=origin,
            reason=texts.get(names.REASON, ""),
            error=texts.get(names.ERROR, ""),
            time=texts.get(names.TIME, ""),
            replays=number(texts.get(names.REPLAYS)) or 0,
            truncated=number(texts.get(names.TRUNCATED)),
            truncated_key=number(texts.get(names.TRUNCATED_KEY)),
            truncated_headers=number(texts.get(names.TRUNCATED_HEADERS)),
            unreadable_from=number(texts.get(names.UNREADABLE_FROM)),
            letter_key=message.key,
            key=next((value for name, value in message.headers if name == names.KEY), None),
            headers=unescaped(message.headers),
            data=message.data,
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
        """About how many bytes its message takes on the queue."""
        return len(self.data) + len(self.key or b"") + headers_bytes(self.headers)

    @property
    def dataset(self) -> Dataset | None:
        """The dataset its message belongs to, if it says so."""
        envelope = salvaged_envelope(self.data)
        try:
            return dataset_of(self.origin.topic, envelope.jid, envelope.db_name, envelope.dataset_name)
        except BadName:
            return None

    @property
    def value(self) -> Any:
        """The JSON value; raises SerializationError if it is not JSON."""
        return deserialize(self.data)

    def as_json(self) -> dict[str, Any]:
        """For machines; the message is in `text`, or in `base64` if it is not UTF-8."""
        fields = {
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
            return {**fields, "text": self.data.decode()}
        except UnicodeDecodeError:
            return {**fields, "base64": base64.b64encode(self.data).decode()}

    def replayed(self) -> tuple[Outgoing, Outgoing]:
        """The message on its way back, and the tombstone that settles the letter."""
        headers = [*replay_headers(self.origin, self.replays + 1), *self.headers]
        topic = self.origin.topic
        return (
            Outgoing(topic, self.data, self.key, headers, self.origin.partition),
            Outgoing(dead_letter_topic(topic), None, self.letter_key),
        )


@dataclass(slots=True)
class ReplayCounts:
    """What came of a replay."""

    replayed: int = 0
    truncated: int = 0
    """Not replayed, because the letter does not hold the whole of its message."""
    refused: int = 0
    """Not replayed, because the queue refuses the message."""


class DeadLetterReader:
    """The dead letters of one topic. A letter that was replayed, or a second copy of one, is not seen."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self._platform = platform
        self._topic = topic

    def letters(self, wanted: Callable[[DeadLetter], bool] = lambda _: True) -> Iterator[DeadLetter]:
        """Those still open that are `wanted`. Reads the topic twice; raises QueueError."""
        latest = self._latest_copies()
        for message in self._messages() if latest else ():
            if latest.get(message.key) == (message.partition, message.offset):
                letter = DeadLetter.of(message)
                if letter is not None and wanted(letter):
                    yield letter

    def replay(self, wanted: Callable[[DeadLetter], bool]) -> ReplayCounts:
        """Send the wanted ones back to their topic, each exactly once even if this is killed meanwhile.

        Raises QueueError; what was not replayed by then is still a letter.
        """
        counts = ReplayCounts()
        # Opened first: it undoes what a killed replay did by half, and ends one that still runs.
        with self._platform.transactions(f"estela-replay-{self._topic}") as transactions:
            batch: list[DeadLetter] = []
            for letter in self.letters(wanted):
                if letter.not_whole:
                    logger.error(
                        "The dead letter of %s is not replayed: it %s. What %s has at that place stays there "
                        "until its retention removes it.",
                        letter.place, letter.not_whole, self._topic,
                    )  # fmt: skip
                    counts.truncated += 1
                    continue
                batch.append(letter)
                if len(batch) == _REPLAY_COUNT or sum(each.bytes for each in batch) >= _REPLAY_BYTES:
                    self._send(transactions, batch, counts)
                    batch = []
            self._send(transactions, batch, counts)
        return counts

    def _send(self, transactions: Transactions, batch: list[DeadLetter], counts: ReplayCounts) -> None:
        if not batch:
            return
        try:
            transactions.publish([message for letter in batch for message in letter.replayed()])
        except MessageRejected as error:
            if len(batch) == 1:
                logger.error(
                    "The dead letter of %s is not replayed: the queue refuses its message: %s",
                    batch[0].place, error,
                )  # fmt: skip
                counts.refused += 1
                return
            for letter in batch:
                self._send(transactions, [letter], counts)
        else:
            counts.replayed += len(batch)

    def _latest_copies(self) -> dict[bytes | None, tuple[int, int]]:
        """Partition and offset of the latest copy of each open letter."""
        latest: dict[bytes | None, tuple[int, int]] = {}
        foreign = 0
        for message in self._messages():
            if message.data is None:
                latest.pop(message.key, None)
                continue
            letter = DeadLetter.of(message)
            if letter is not None and letter.origin.topic == self._topic:
                latest[message.key] = (message.partition, message.offset)
            else:
                foreign += 1
        if foreign:
            logger.warning(
                "%d message(s) in %s are not dead letters of %s; they are skipped.",
                foreign, dead_letter_topic(self._topic), self._topic,
            )  # fmt: skip
        return latest

    def _messages(self) -> Iterator[Message]:
        try:
            yield from self._platform.read(dead_letter_topic(self._topic))
        except TopicMissing:  # there never was one
            return
