"""Whether all that jobs have published is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bson.objectid import ObjectId

from estela_consumer.dead_letters.replay import DeadLetter, DeadLetterReader
from estela_consumer.decoding.envelope import salvaged_envelope
from estela_consumer.stores import Store
from estela_consumer.verification.jobs import JobHistory, Jobs
from estela_consumer.verification.keyed_messages import KeyedMessages
from estela_consumer.verification.listing import VerifiedJob
from estela_consumer.verification.stream_runs import StreamRuns, by_stream
from estela_consumer.verification.topic_scan import ConsumedCount
from estela_consumer.verification.verification import StreamCount, Verification, total_of
from estela_queue_adapter import Message, Platform, Subscription
from estela_queue_adapter.errors import TopicMissing
from estela_wire.closing_record import ClosingRecord, is_items
from estela_wire.dataset import stats_id
from estela_wire.message_id import IdRange, id_bytes, nonce_of
from estela_wire.topics import STATS_TOPIC

_AT_ONCE = 4  # streams that are looked up in the store at the same time


@dataclass(slots=True)
class _Looked:
    """What was found of one stream."""

    runs: StreamRuns
    stored: int | None
    dead_letters: int = 0
    lag: int | None = None
    missing: int = 0

    def look_for_missing(self) -> None:
        published = self.runs.published
        self.missing = (
            published if self.stored is None else max(0, published - self.stored - self.dead_letters)
        )


class Verifier:
    """Compares what jobs have published with what is stored and dead-lettered.

    Several jobs are verified together: each topic is read once for all of them, and the verdict on each is
    the same as if it were alone.
    """

    def __init__(self, platform: Platform, store: Store, *, jobs_topic: str, group: str = "") -> None:
        self._platform = platform
        self._store = store
        self._group = group
        self.jobs = Jobs(platform, jobs_topic)

    def verify(self, job: str) -> Verification | None:
        """What became of the job's messages so far, or None if it has no closing record.

        Blocks. Raises UsageError if `job` names several, StoreUnreachable, QueueError.
        """
        found = self.jobs.of(job)
        if found is None or not found.records:
            return None
        [verification] = self.verify_all([found])
        return verification

    def verify_since(self, moment: float) -> list[VerifiedJob]:
        """The jobs of which something is known since then, seconds since the epoch; the latest first.

        Blocks. Raises StoreUnreachable, QueueError.
        """
        jobs = self.jobs.since(moment)
        verdicts = iter(self.verify_all([job for job in jobs if job.records]))
        return [VerifiedJob(job, next(verdicts) if job.records else None) for job in jobs]

    def verify_all(self, jobs: Sequence[JobHistory]) -> list[Verification]:
        """The same for several that have closing records, in their order."""
        streams = [by_stream(job.records) for job in jobs]
        everything = [stream for of_job in streams for stream in of_job]
        # In this order: a letter that is replayed meanwhile is missing until the next time, not there twice.
        found = [
            _Looked(runs, stored)
            for runs, stored in zip(everything, self._stored_of_all(everything), strict=True)
        ]
        self._count_dead_letters(found)
        for looked in found:
            looked.look_for_missing()
        self._look_into_topics([looked for looked in found if looked.missing])
        remaining = iter(found)
        return [
            _verification(job.records, [self._count(next(remaining)) for _ in of_job])
            for job, of_job in zip(jobs, streams, strict=True)
        ]

    def _stored_of_all(self, streams: Sequence[StreamRuns]) -> list[int | None]:
        if len(streams) < 2:
            return [self._stored(stream) for stream in streams]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="estela-verify") as threads:
            return list(threads.map(self._stored, streams))

    def _stored(self, stream: StreamRuns) -> int | None:
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

    def _count_dead_letters(self, streams: Sequence[_Looked]) -> None:
        """Count those of each, each topic read once."""
        owners: dict[str, dict[tuple[str, bytes] | None, _Looked]] = defaultdict(dict)
        for looked in streams:
            for ids in looked.runs.ranges:
                owners[looked.runs.first.topic][looked.runs.first.jid, ids.nonce] = looked
        for topic, owner in owners.items():
            for letter in DeadLetterReader(self._platform, topic).letters(discarded=None):
                sender = _sender(letter)
                if sender in owner:
                    owner[sender].dead_letters += 1

    def _look_into_topics(self, streams: Sequence[_Looked]) -> None:
        """Ask how much is still to come; and what was consumed, if the store cannot tell."""
        by_topic: dict[str, list[_Looked]] = defaultdict(list)
        for looked in streams:
            by_topic[looked.runs.first.topic].append(looked)
        for topic, of_topic in by_topic.items():
            subscription = Subscription(topic=topic, group=self._group)
            lag = self._lag(subscription)
            for looked in of_topic:
                looked.lag = lag
            shared = [looked for looked in of_topic if looked.stored is None]
            if shared and lag is not None:
                self._look_for_shared(shared, subscription, lag)

    def _look_for_shared(self, streams: Sequence[_Looked], subscription: Subscription, lag: int) -> None:
        """Count the missing messages of streams whose documents are not theirs alone."""
        keyed = self._keyed(streams, subscription.topic)
        consumed = ConsumedCount(
            self._platform, subscription, (ids for looked in streams for ids in looked.runs.ranges)
        )

        def look_up(ids: IdRange, identity: bytes, message: Message) -> None:
            if ids in keyed:
                keyed[ids].add(identity, message)

        consumed.scan(look_up)
        for looked in streams:
            ranges = looked.runs.ranges
            looked.missing = consumed.missing(ranges, looked.runs.published, lag)
            if looked.runs.first.key and ranges:
                keyed[ranges[0]].finish()
                looked.missing += keyed[ranges[0]].without_effect

    def _keyed(self, streams: Sequence[_Looked], topic: str) -> dict[IdRange, KeyedMessages]:
        """What looks up the messages of streams with a key, for each range: one for each stream."""
        with_key = [looked for looked in streams if looked.runs.first.key]
        if not with_key:
            return {}
        letters = DeadLetterReader(self._platform, topic).letters(discarded=None)
        dead_lettered = {identity for letter in letters if (identity := _id_of(letter))}
        found: dict[IdRange, KeyedMessages] = {}
        for looked in with_key:
            found |= dict.fromkeys(looked.runs.ranges, KeyedMessages(self._store, dead_lettered))
        return found

    def _count(self, looked: _Looked) -> StreamCount:
        stream, published = looked.runs, looked.runs.published
        return StreamCount(
            stream=stream.first.stream,
            topic=stream.first.topic,
            dataset=str(stream.dataset or ""),
            group=Subscription(topic=stream.first.topic, group=self._group).group_id,
            published=published,
            stored=looked.stored,
            on_existing=stream.first.on_existing,
            dead_letters=looked.dead_letters,
            failed=sum(record.failed for record in stream.records),
            filtered=sum(record.filtered for record in stream.records),
            missing=looked.missing,
            too_many=max(0, (looked.stored or 0) - published),
            scraped=total_of(stream.scraped),
            unaccounted=sum(more for more in stream.differences if more > 0),
            unscraped=-sum(more for more in stream.differences if more < 0),
            lag=looked.lag,
        )

    def _lag(self, subscription: Subscription) -> int | None:
        with self._platform.consumer(subscription) as consumer:  # it never polls, and so joins no group
            try:
                return consumer.lag()
            except TopicMissing:
                return None


def _verification(records: Sequence[ClosingRecord], counts: Sequence[StreamCount]) -> Verification:
    last = max(records, key=lambda record: record.closed)
    return Verification(
        jid=last.jid,
        runs=len(records),
        finish_reason=last.finish_reason,
        responses=total_of(record.response_received_count for record in records),
        not_published=total_of(record.item_scraped_count for record in records if not _items_of(record)),
        unrecorded_runs=_unrecorded(records),
        streams=tuple(counts),
    )


def _items_of(record: ClosingRecord) -> bool:
    return any(is_items(stream.stream) for stream in record.streams)


def _unrecorded(records: Iterable[ClosingRecord]) -> int:
    numbers = {record.run for record in records if record.run is not None}
    return max(0, max(numbers, default=0) - len(numbers))


def _id_of(letter: DeadLetter) -> bytes | None:
    """The id of the message that the letter is of."""
    return id_bytes(salvaged_envelope(letter.data, whole=letter.truncated is None).id)


def _sender(letter: DeadLetter) -> tuple[str, bytes] | None:
    """The jid and the nonce of the message that the letter is of."""
    envelope = salvaged_envelope(letter.data, whole=letter.truncated is None)
    identity, jid = id_bytes(envelope.id), envelope.jid
    return (jid, nonce_of(identity)) if identity is not None and isinstance(jid, str) else None
