"""The dead letters of a topic, read back: what they say, which are still open, and how they are sent back."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeAlias

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
    discarded: str | None = None
    """Why it was discarded; None if it was not."""

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
            "discarded": self.discarded,
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
        return (
            Outgoing(self.origin.topic, self.data, self.key, headers, self.origin.partition),
            self._tombstone([]),
        )

    def settled(self, because: str, now: datetime) -> Outgoing:
        """The tombstone alone, which says why."""
        return self._tombstone(
            [
                (names.DISCARDED, because.encode(errors="replace")),
                (names.TIME, now.isoformat(timespec="milliseconds").encode()),
            ]
        )

    def _tombstone(self, headers: Headers) -> Outgoing:
        return Outgoing(dead_letter_topic(self.origin.topic), None, self.letter_key, headers)


@dataclass(slots=True)
class ReplayCounts:
    """What came of a replay."""

    replayed: int = 0
    truncated: int = 0
    """Not replayed, because the letter does not hold the whole of its message."""
    refused: int = 0
    """Not replayed, because the queue refuses the message."""


Wanted: TypeAlias = Callable[[DeadLetter], bool]
Watch: TypeAlias = "Callable[[Iterator[Message], int | None], Iterator[Message]]"
"""Sees the messages on their way, and is told how many there are, if that is known."""


class _LatestCopies(NamedTuple):
    """Partition and offset of the latest copy of each letter, by the key that its copies share."""

    open: dict[bytes | None, tuple[int, int]]
    discarded: dict[bytes | None, tuple[int, int]]
    because: dict[bytes | None, str]
    """Why, of those that were discarded."""


class DeadLetterReader:
    """The dead letters of one topic. A letter that was replayed, or a second copy of one, is not seen.

    One that was discarded stays so, also if its message is met again: unless it is replayed after all. What
    is read of their topic, twice for each question, passes through `watch`.
    """

    def __init__(
        self,
        platform: Platform,
        topic: str,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        watch: Watch = lambda messages, _: messages,
    ) -> None:
        self._platform = platform
        self._topic = topic
        self._now = now
        self._watch = watch

    def letters(
        self, wanted: Wanted = lambda _: True, *, discarded: bool | None = False
    ) -> Iterator[DeadLetter]:
        """Those still open that are `wanted`; those that were discarded instead, or both if None.

        Reads the topic twice; raises QueueError.
        """
        copies, count = self._latest_copies()
        latest = {} if discarded else copies.open
        if discarded is not False:
            latest = {**latest, **copies.discarded}
        for message in self._watch(self._messages(), count) if latest else ():
            if latest.get(message.key) == (message.partition, message.offset):
                letter = DeadLetter.of(message)
                if letter is not None and (because := copies.because.get(message.key)) is not None:
                    letter = replace(letter, discarded=because)
                if letter is not None and wanted(letter):
                    yield letter

    def replay(self, wanted: Wanted, *, discarded: bool = False, edited: bytes | None = None) -> ReplayCounts:
        """Send the wanted ones back to their topic, each exactly once even if this is killed meanwhile.

        With `edited` as their value, if given. Raises QueueError; what was not replayed by then is still a
        letter.
        """
        counts = ReplayCounts()
        # Opened first: it undoes what a killed replay did by half, and ends one that still runs.
        with self._platform.transactions(f"estela-replay-{self._topic}") as transactions:
            batch: list[DeadLetter] = []
            for found in self.letters(wanted, discarded=discarded):
                letter = found if edited is None else replace(found, data=edited, truncated=None)
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

    def discard(self, wanted: Wanted, because: str) -> int:
        """Settle the wanted ones without sending them back, and record why; how many. Raises QueueError.

        They stay in the topic of the letters for as long as that keeps them.
        """
        count = 0
        with self._platform.transactions(f"estela-replay-{self._topic}") as transactions:
            batch: list[Outgoing] = []
            for letter in self.letters(wanted):
                batch.append(letter.settled(because, self._now()))
                if len(batch) == _REPLAY_COUNT:
                    transactions.publish(batch)
                    count, batch = count + len(batch), []
            if batch:
                transactions.publish(batch)
        return count + len(batch)

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

    def _latest_copies(self) -> tuple[_LatestCopies, int]:
        """These, and how many messages the topic has."""
        copies = _LatestCopies({}, {}, {})
        foreign = count = 0
        for message in self._watch(self._messages(), None):
            count += 1
            if message.data is None:
                _settle(copies, message)
                continue
            letter = DeadLetter.of(message)
            if letter is not None and letter.origin.topic == self._topic:
                latest = copies.discarded if message.key in copies.because else copies.open
                latest[message.key] = (message.partition, message.offset)
            else:
                foreign += 1
        if foreign:
            logger.warning(
                "%d message(s) in %s are not dead letters of %s; they are skipped.",
                foreign, dead_letter_topic(self._topic), self._topic,
            )  # fmt: skip
        return copies, count

    def _messages(self) -> Iterator[Message]:
        try:
            yield from self._platform.read(dead_letter_topic(self._topic))
        except TopicMissing:  # there never was one
            return


def _settle(copies: _LatestCopies, tombstone: Message) -> None:
    """Note what a tombstone says of the letter with its key."""
    key = tombstone.key
    copy = copies.open.pop(key, None) or copies.discarded.pop(key, None)
    because = header_texts(tombstone.headers).get(names.DISCARDED)
    if because is None:
        copies.because.pop(key, None)
        return
    copies.because[key] = because
    if copy is not None:
        copies.discarded[key] = copy
