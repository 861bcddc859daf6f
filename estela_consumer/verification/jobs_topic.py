"""The jobs topic: what crawls say of themselves while they run, and at their end."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from estela_consumer.decoding.envelope import read_envelope
from estela_consumer.errors import BadMessage
from estela_queue_adapter import Message, Platform, Unreadable
from estela_queue_adapter.errors import BadName, SerializationError, TopicMissing
from estela_wire.closing_record import ClosingRecord
from estela_wire.heartbeat import KIND, Heartbeat, kind_of
from estela_wire.jid import parse_jid

_NAMES = re.compile(rb'"(?:job|jid)":\s*"([^"\\]*)"')  # of a record, as far as they are plain
_HEARTBEAT = b'"kind":"heartbeat"'  # as crawls write it
_PLAIN = re.compile(r"[ !#-\[\]-~]+")

logger = logging.getLogger(__name__)


class Closed(NamedTuple):
    """A closing record, and what its copies share with it: the envelope's id, or else its place."""

    identity: str
    record: ClosingRecord


class Alive(NamedTuple):
    """A heartbeat of a job."""

    jid: str
    heartbeat: Heartbeat


class JobsTopicReader:
    """Reads on in the jobs topic. What is neither is skipped, and told once.

    A record of a kind that only a later version knows is skipped without a word.
    """

    def __init__(self, platform: Platform, topic: str, since: float = 0.0) -> None:
        """`since`: seconds since the epoch; what was put there before is left out."""
        self._topic = topic
        self._reader = platform.reader(topic, since)
        self._has_warned = False

    @property
    def begun_again(self) -> int:
        """How often the topic was another one than before: what was read until then is out of date."""
        return self._reader.begun_again

    def read_on(self, jobs: Collection[str] = (), *, heartbeats: bool = True) -> Iterator[Closed | Alive]:
        """What has come since the last time.

        With `jobs`, which are jids or their first parts, at least what is about these; without `heartbeats`,
        hardly any of them. Blocks; raises QueueError. A topic that is missing has nothing.
        """
        names = _names(jobs)
        malformed: list[str] = []
        for message in self._messages():
            if message.data is None or (names and names.isdisjoint(_named_in(message.data))):
                continue
            if not heartbeats and _HEARTBEAT in message.data:
                continue
            place = f"{message.partition}:{message.offset}"
            try:
                found = _read(message.data, place)
            except (BadMessage, SerializationError) as error:
                malformed.append(f"{place}: {error}")
            else:
                if found is not None:
                    yield found
        if malformed and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%d messages of %s are no closing records or heartbeats and are skipped; the first, at %s",
                len(malformed), self._topic, malformed[0],
            )  # fmt: skip

    def close(self) -> None:
        """Release what is held."""
        self._reader.close()

    def _messages(self) -> Iterator[Message]:
        try:
            yield from self._reader.read_on()
        except TopicMissing:
            return


def _names(jobs: Collection[str]) -> set[bytes]:
    """Their first parts; nothing if JSON may have written one of them in more than one way."""
    names = {job.partition(".")[0] for job in jobs}
    return {name.encode() for name in names} if all(map(_PLAIN.fullmatch, names)) else set()


def _named_in(data: bytes) -> set[bytes]:
    """The first parts of all that a record may name as its job."""
    return {name.partition(b".")[0] for name in _NAMES.findall(data)}


def _read(data: bytes, place: str) -> Closed | Alive | None:
    """None for a kind that is not known here. Raises BadMessage or SerializationError."""
    if isinstance(data, Unreadable):
        raise SerializationError(f"not a message: {data.reason}")
    envelope = read_envelope(data)
    kind = kind_of(envelope.payload)
    if kind == KIND:
        try:
            parse_jid(envelope.jid)
        except BadName as error:
            raise SerializationError(str(error)) from error
        return Alive(envelope.jid, Heartbeat.from_payload(envelope.payload))
    return None if kind else Closed(str(envelope.id or place), ClosingRecord.from_payload(envelope.payload))
