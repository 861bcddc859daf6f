"""How crawls have ended: their closing records, counted once by all consumers together."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from estela_consumer.decoding.envelope import read_envelope
from estela_consumer.errors import BadMessage
from estela_queue_adapter import Consumer, Message, Platform, Subscription, Unreadable
from estela_queue_adapter.errors import AccessDenied, QueueError, SerializationError
from estela_terminal.printable import printable
from estela_wire.closing_record import ClosingRecord

OTHER = "(other)"
"""What spiders and reasons are called that are too many to be named."""

_MAX_SPIDERS = 200
_MAX_REASONS = 20
_MAX_LABEL = 100  # characters
_REMEMBERED = 1_000  # records, whose copies are not counted

_POLL_TIMEOUT = 1.0  # seconds
_POLL_MESSAGES = 500
_PAUSE = 0.1  # seconds between two polls: if much is to come, the pipelines need the processor
_RETRY = 30.0  # seconds after an error

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClosedJobs:
    """What was counted until one moment; what it came to in this process."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """Spider and reason to closing records."""
    last: dict[str, float] = field(default_factory=dict)
    """Spider to the end of its latest crawl, in seconds since the epoch."""


class ClosedJobsCount:
    """Counts closing records. Belongs to one thread, but any may ask for `latest`.

    Both names of a record are foreign text: so many of each are told apart, and the rest is OTHER.
    """

    def __init__(self) -> None:
        self.latest = ClosedJobs()
        """Replaced in one step."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last: dict[str, float] = {}
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)

    def add(self, messages: Iterable[Message]) -> None:
        """Count the closing records among these; whatever else is there is left out."""
        for message in messages:
            # A running crawl sends many records more, and only its last one has this.
            if message.data and not isinstance(message.data, Unreadable) and b"finish_reason" in message.data:
                with contextlib.suppress(BadMessage, SerializationError):  # `estela-verify` tells of these
                    envelope = read_envelope(message.data)
                    record = ClosingRecord.from_payload(envelope.payload)
                    self._add(record, str(envelope.id or f"{message.partition}:{message.offset}"))
        self.latest = ClosedJobs(dict(self._counts), dict(self._last))

    def _add(self, record: ClosingRecord, identity: str) -> None:
        if identity in self._seen:
            return
        self._seen.append(identity)
        spider = _named(record.spider, self._last, _MAX_SPIDERS)
        reasons = {reason for _, reason in self._counts}
        reason = _named(record.finish_reason, reasons, _MAX_REASONS)
        self._counts[spider, reason] += 1
        self._last[spider] = max(self._last.get(spider, 0.0), record.closed.timestamp())


def _named(text: str, known: Iterable[str], most: int) -> str:
    """The name, if it is known or there is room for one more."""
    name = printable(text)[:_MAX_LABEL]
    names = set(known)
    return name if name in names or len(names - {OTHER}) < most else OTHER


class ClosedJobsWatch:
    """Reads the closing records as a member of a group of all consumers, from `start` to `stop`.

    On a thread and a connection of its own. So each record is read, and counted, by one of the consumers. Of
    its copies, those in one partition count once.
    """

    def __init__(self, platform: Platform, topic: str) -> None:
        self._platform = platform
        self._subscription = Subscription(topic=topic, group=f"group_{topic}_metrics")
        self._count = ClosedJobsCount()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to read. Call it once."""
        threading.Thread(target=self._watch, name="estela-closed-jobs", daemon=True).start()

    def stop(self) -> None:
        """Read no more. The thread ends when its last question is answered; it is not waited for."""
        self._stopped.set()

    def latest(self) -> ClosedJobs:
        """What is counted so far. Any thread may ask."""
        return self._count.latest

    def _watch(self) -> None:
        has_told = False
        while not self._stopped.is_set():
            try:
                with self._platform.consumer(self._subscription) as consumer:
                    self._read(consumer)
            except AccessDenied as error:
                if not has_told:
                    logger.warning("Closing records are not counted in the metrics: %s", error)
                has_told = True
            except QueueError as error:  # the pipelines meet the same one, and tell it
                logger.debug("Closing records not read: %s", error)
            self._stopped.wait(_RETRY)

    def _read(self, consumer: Consumer) -> None:
        while not self._stopped.is_set():
            messages = consumer.poll(_POLL_TIMEOUT, _POLL_MESSAGES)
            if messages:
                # First the commit: if it is refused, the member that has the partition now counts them.
                consumer.commit({message.partition: message.next for message in messages}.values())
                self._count.add(messages)
            self._stopped.wait(_PAUSE)
