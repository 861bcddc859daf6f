"""The closing records of a job, read from their topic."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from estela_consumer.errors import UsageError
from estela_queue_adapter import Message, Platform
from estela_queue_adapter.errors import SerializationError, TopicMissing
from estela_wire.closing_record import ClosingRecord

logger = logging.getLogger(__name__)


class ClosingRecords:
    """What crawls have said at their end."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self._platform = platform
        self._topic = topic
        self._told = False

    def of(self, job: str) -> list[ClosingRecord]:
        """Those of one job, which `job` names by its jid or by its first part; a copy counts once.

        Reads the whole topic. Raises UsageError where several jobs have that first part, and QueueError.
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
                    yield _opened(message)
                except SerializationError as error:
                    malformed.append(f"{message.partition}:{message.offset}: {error}")
        if malformed and not self._told:
            self._told = True
            logger.warning(
                "%d messages of %s are no closing records; the first, at %s",
                len(malformed), self._topic, malformed[0],
            )  # fmt: skip

    def _messages(self) -> Iterator[Message]:
        try:
            yield from self._platform.read(self._topic)
        except TopicMissing:  # no crawl has ended yet
            return


def _opened(message: Message) -> tuple[str, ClosingRecord]:
    """The record, and what its copies share with it."""
    envelope = message.value
    if not isinstance(envelope, dict) or "payload" not in envelope:
        raise SerializationError("there is no envelope around it")
    own = f"{message.partition}:{message.offset}"
    return str(envelope.get("id") or own), ClosingRecord.from_payload(envelope["payload"])
