"""Whether all that a job has published is stored."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from bson.objectid import ObjectId

from estela_consumer.dead_letters.replay import DeadLetter, DeadLetterReader
from estela_consumer.decoding.envelope import salvaged_envelope
from estela_consumer.errors import StoreUnreachable
from estela_consumer.stores import Store
from estela_consumer.verification.closing_records import ClosingRecords
from estela_consumer.verification.keyed_messages import KeyedMessages
from estela_consumer.verification.topic_scan import ConsumedCount
from estela_queue_adapter import Platform, Subscription
from estela_queue_adapter.errors import BadName, TopicMissing, TransientError
from estela_terminal.exit_codes import ExitCode
from estela_wire.closing_record import ClosingRecord, StreamRecord, is_items
from estela_wire.dataset import Dataset, dataset_of, stats_id
from estela_wire.message_id import IdRange, id_bytes, nonce_of
from estela_wire.topics import STATS_TOPIC

_SHORTEST_PAUSE = 0.5  # seconds between two verifications; never shorter than one takes, to be no burden

FINISHED = "finished"
"""The `finish_reason` of a crawl that was not cut short."""
_COMPARED = ("unaccounted", "unscraped")
"""What is found by comparing with Scrapy's own count."""
_INCOMPLETE = ("missing", "failed", "too_many", "unaccounted", "unscraped")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCount:
    """What became of one stream's messages."""

    stream: str
    topic: str
    dataset: str
    """The dataset they belong to; empty if no message of the stream can be stored."""
    group: str
    published: int
    stored: int | None
    """None if several items may be one document: none can be counted as this job's then."""
    on_existing: str
    """What becomes of a document that is there; empty if the stream has no key."""
    dead_letters: int
    failed: int
    filtered: int
    """Items that the crawl's settings leave out."""
    missing: int
    too_many: int
    scraped: int | None
    """Items by Scrapy's own count; None for other streams, and if a closing record does not say.

    Scrapy counts the items of all streams together: what the others account for is theirs, and the rest that
    of the first."""
    unaccounted: int
    """Items that were scraped, but neither published nor counted as failed or filtered."""
    unscraped: int
    """Items that were published or counted as failed or filtered, but never scraped by Scrapy's count."""
    lag: int | None
    """Messages, of all jobs, that the topic's group has still to consume; None if nothing is missing."""

    @property
    def is_items(self) -> bool:
        """Whether Scrapy counts what the stream carries."""
        return is_items(self.stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What became of one job's messages."""

    jid: str
    runs: int
    """How many closing records it has."""
    finish_reason: str
    """Of the last run."""
    responses: int | None
    """Received by Scrapy's own count; None if a closing record does not say."""
    not_published: int | None
    """Items scraped by runs whose settings publish no items; None if one of their records does not say."""
    unrecorded_runs: int
    """Runs without a closing record, of a job that can be paused: they were killed."""
    streams: tuple[StreamCount, ...]

    def total(self, count: str) -> int:
        """The sum of one count over the streams."""
        return sum(getattr(stream, count) or 0 for stream in self.streams)

    def known_total(self, count: str) -> int | None:
        """The same, or None if it is not known: the store cannot tell, or Scrapy has not counted."""
        if count in _COMPARED:
            found = self.total(count)
            return None if not found and self.known_total("scraped") is None else found
        counted = [stream for stream in self.streams if count != "scraped" or stream.is_items]
        return _sum(getattr(stream, count) for stream in counted) if counted else None

    @property
    def settled(self) -> bool:
        """Whether waiting longer would change nothing."""
        return not self.total("missing")

    @property
    def cut_short(self) -> bool:
        """Whether the last run ended before it was finished; an earlier one may have been paused."""
        return self.finish_reason != FINISHED

    @property
    def code(self) -> ExitCode:
        """What `estela-verify` ends with."""
        if self.unrecorded_runs or any(self.total(count) for count in _INCOMPLETE):
            return ExitCode.INCOMPLETE
        if self.cut_short:
            return ExitCode.CUT_SHORT
        return ExitCode.DEAD_LETTERS if self.total("dead_letters") else ExitCode.OK

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "cut_short": self.cut_short}


@dataclass(frozen=True, slots=True)
class _StreamRuns:
    """The records of one stream over all runs of the job."""

    records: list[StreamRecord]
    scraped: list[int | None]
    """How many of the items that Scrapy counted are those of each."""

    @property
    def first(self) -> StreamRecord:
        """What names the stream: all records have the same names."""
        return self.records[0]

    @property
    def published(self) -> int:
        return sum(record.published for record in self.records)

    @property
    def differences(self) -> list[int]:
        """Of each run, how many more items were scraped than are accounted for."""
        return [
            scraped - record.accounted
            for record, scraped in zip(self.records, self.scraped, strict=True)
            if scraped is not None
        ]

    @property
    def ranges(self) -> list[IdRange]:
        return [record.ids for record in self.records if record.ids is not None]

    @property
    def dataset(self) -> Dataset | None:
        record = self.first
        try:
            if record.topic == STATS_TOPIC:
                stats_id(record.jid)  # which is made of the jid alone
            return dataset_of(record.topic, record.jid, record.db_name or None, record.dataset_name or None)
        except BadName:  # every message of the stream is a dead letter
            return None


class Verifier:
    """Compares what a job has published with what is stored and dead-lettered."""

    def __init__(self, platform: Platform, store: Store, *, jobs_topic: str, group: str = "") -> None:
        self._platform = platform
        self._store = store
        self._closing_records = ClosingRecords(platform, jobs_topic)
        self._group = group

    def verify(self, job: str) -> Verification | None:
        """What became of the job's messages so far, or None if it has no closing record.

        Blocks. Raises UsageError if `job` names several, StoreUnreachable, QueueError.
        """
        records = self._closing_records.of(job)
        if not records:
            return None
        last = max(records, key=lambda record: record.closed)
        streams = _by_stream(records)
        # In this order: a letter that is replayed meanwhile is missing until the next time, not there twice.
        stored = [self._stored(stream) for stream in streams]
        letters = self._dead_letters(streams)
        counts = [self._count(*each) for each in zip(streams, stored, letters, strict=True)]
        return Verification(
            jid=last.jid,
            runs=len(records),
            finish_reason=last.finish_reason,
            responses=_sum(record.response_received_count for record in records),
            not_published=_sum(record.item_scraped_count for record in records if not _items_of(record)),
            unrecorded_runs=_unrecorded(records),
            streams=tuple(counts),
        )

    def _stored(self, stream: _StreamRuns) -> int | None:
        dataset, record = stream.dataset, stream.first
        if dataset is None or not stream.ranges:
            return 0
        if record.topic == STATS_TOPIC:
            identity = stats_id(record.jid)
            return sum(1 for _ in self._store.ids(dataset, identity, identity))
        if record.unique or record.key:
            return None
        return sum(
            1
            for ids in stream.ranges
            for found in self._store.ids(dataset, ObjectId(ids.first), ObjectId(ids.last))
            if isinstance(found, ObjectId) and nonce_of(found.binary) == ids.nonce
        )

    def _dead_letters(self, streams: list[_StreamRuns]) -> list[int]:
        """How many there are of each, each topic read once."""
        counts: Counter[int] = Counter()
        for topic in {stream.first.topic for stream in streams if stream.ranges}:
            owner: dict[tuple[str, bytes] | None, int] = {
                (stream.first.jid, ids.nonce): number
                for number, stream in enumerate(streams)
                for ids in stream.ranges
                if stream.first.topic == topic
            }
            for letter in DeadLetterReader(self._platform, topic).letters(discarded=None):
                sender = _sender(letter)
                if sender in owner:
                    counts[owner[sender]] += 1
        return [counts[number] for number in range(len(streams))]

    def _count(self, stream: _StreamRuns, stored: int | None, dead_letters: int) -> StreamCount:
        subscription = Subscription(topic=stream.first.topic, group=self._group)
        published = stream.published
        missing = published if stored is None else max(0, published - stored - dead_letters)
        lag = self._lag(subscription) if missing else None
        if stored is None and lag is not None:
            missing = self._missing_of_shared(stream, subscription, lag)
        return StreamCount(
            stream=stream.first.stream,
            topic=stream.first.topic,
            dataset=str(stream.dataset or ""),
            group=subscription.group_id,
            published=published,
            stored=stored,
            on_existing=stream.first.on_existing,
            dead_letters=dead_letters,
            failed=sum(record.failed for record in stream.records),
            filtered=sum(record.filtered for record in stream.records),
            missing=missing,
            too_many=max(0, (stored or 0) - published),
            scraped=_sum(stream.scraped),
            unaccounted=sum(more for more in stream.differences if more > 0),
            unscraped=-sum(more for more in stream.differences if more < 0),
            lag=lag,
        )

    def _missing_of_shared(self, stream: _StreamRuns, subscription: Subscription, lag: int) -> int:
        """How many of a stream's messages are missing whose documents are not theirs alone."""
        consumed = ConsumedCount(self._platform, subscription, stream.ranges)
        if not stream.first.key:
            return consumed.missing(stream.published, lag)
        letters = DeadLetterReader(self._platform, subscription.topic).letters(discarded=None)
        keyed = KeyedMessages(self._store, {identity for letter in letters if (identity := _id_of(letter))})
        missing = consumed.missing(stream.published, lag, keyed.add)
        keyed.finish()
        return missing + keyed.without_effect

    def _lag(self, subscription: Subscription) -> int | None:
        with self._platform.consumer(subscription) as consumer:  # it never polls, and so joins no group
            try:
                return consumer.lag()
            except TopicMissing:
                return None


def verify_until(
    verify: Callable[[], Verification | None],
    wait: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Verification | None:
    """What `verify` says once nothing is missing any more, or when `wait` seconds are over.

    A queue or store that is unavailable is asked again too. Raises its error when the time is over, and any
    other error at once.
    """
    deadline, logged = clock() + wait, ""
    while True:
        began = clock()
        try:
            found = verify()
        except (TransientError, StoreUnreachable) as error:
            if clock() >= deadline:
                raise
            waiting_for = f"what is unavailable: {error}"
        else:
            if clock() >= deadline or (found is not None and found.settled):
                return found
            waiting_for = "the consumer to store the rest" if found else "the closing record of the crawl"
        if waiting_for != logged:
            logger.info("estela-verify waits for %s.", waiting_for)
            logged = waiting_for
        now = clock()
        sleep(min(max(_SHORTEST_PAUSE, now - began), max(0.0, deadline - now)))


def _by_stream(records: Iterable[ClosingRecord]) -> list[_StreamRuns]:
    """The records of each stream together, in the order in which the streams first appear."""
    found: dict[tuple[Any, ...], _StreamRuns] = {}
    for run in records:
        for record in run.streams:
            key = (
                record.stream, record.topic, record.jid, record.db_name, record.dataset_name, record.unique,
                record.key, record.on_existing,
            )  # fmt: skip
            stream = found.setdefault(key, _StreamRuns([], []))
            stream.records.append(record)
            stream.scraped.append(run.scraped_of(record))
    return list(found.values())


def _items_of(record: ClosingRecord) -> bool:
    return any(is_items(stream.stream) for stream in record.streams)


def _unrecorded(records: Iterable[ClosingRecord]) -> int:
    numbers = {record.run for record in records if record.run is not None}
    return max(0, max(numbers, default=0) - len(numbers))


def _sum(counts: Iterable[int | None]) -> int | None:
    """None if one of them is not known."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _id_of(letter: DeadLetter) -> bytes | None:
    """The id of the message that the letter is of."""
    return id_bytes(salvaged_envelope(letter.data, whole=letter.truncated is None).id)


def _sender(letter: DeadLetter) -> tuple[str, bytes] | None:
    """The jid and the nonce of the message that the letter is of."""
    envelope = salvaged_envelope(letter.data, whole=letter.truncated is None)
    identity, jid = id_bytes(envelope.id), envelope.jid
    return (jid, nonce_of(identity)) if identity is not None and isinstance(jid, str) else None
