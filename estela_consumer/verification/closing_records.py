"""The closing records of a job, read from their topic."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from estela_consumer.decoding.envelope import read_envelope
from estela_consumer.errors import BadMessage, UsageError
from estela_queue_adapter import Message, Platform, Unreadable
from estela_queue_adapter.errors import SerializationError, TopicMissing
from estela_wire.closing_record import ClosingRecord

logger = logging.getLogger(__name__)


class ClosingRecords:
    """What crawls have said at their end."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self._platform = platform
        self._topic = topic
        self._has_warned = False

    def of(self, job: str) -> list[ClosingRecord]:
        """Those of one job, which `job` names by its jid or by its first part; a copy counts once.

        Reads the whole topic. Raises UsageError if several jobs have that first part, and QueueError.
        """
        found: dict[str, ClosingRecord] = {}
        for identity, record in self._all():
            if job in (record.jid, record.job):
                found.setdefault(identity, record)
        jids = sorted({record.jid for record in found.values()})
        if len(jids) > 1:
            raise UsageError(f"{job} is the name of {len(jids)} jobs; name one: {', '.join(jids)}")
        return list(found.values())

    def _all(self) -> Iterator[tuple[str, ClosingRecord]]:
        malformed: list[str] = []
        for message in self._messages():
            if message.data is not None:
                try:
                    yield _read(message.data, f"{message.partition}:{message.offset}")
                except (BadMessage, SerializationError) as error:
                    malformed.append(f"{message.partition}:{message.offset}: {error}")
        if malformed and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%d messages of %s are not closing records and are skipped; the first, at %s",
                len(malformed), self._topic, malformed[0],
            )  # fmt: skip

    def _messages(self) -> Iterator[Message]:
        try:
            yield from self._platform.read(self._topic)
        except TopicMissing:  # no crawl has ended yet
            return


def _read(data: bytes, place: str) -> tuple[str, ClosingRecord]:
    """The record, and what its copies share with it: the envelope's id, or else its place.

    Raises BadMessage or SerializationError.
    """
    if isinstance(data, Unreadable):
        raise SerializationError(f"not a message: {data.reason}")
    envelope = read_envelope(data)
    return str(envelope.id or place), ClosingRecord.from_payload(envelope.payload)
