"""The closing record: what one crawl says at its end about what it has published.

It is the contract between the crawl, which writes one, and whoever checks that all of it has been stored. It
travels as the payload of an envelope, on a topic of its own. A job may have several, as it was run again or
started afresh: they add up. Copies of one record, with the same envelope id, count once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from estela_queue_adapter.errors import SerializationError
from estela_wire.jid import make_jid
from estela_wire.message_id import IdRange, id_bytes, nonce_of
from estela_wire.payload_fields import PayloadFields
from estela_wire.shown import shown

ITEMS = "items"

_IF_ANY = ("key", "on_existing", "filtered")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRecord:
    """What one run has published of one stream."""

    stream: str
    """`items`, `requests`, `stats` or `logs`; `items/<name>` for the items of one route or class."""
    topic: str
    """Empty if the stream is published nowhere, but what it would have carried is counted."""
    jid: str
    """The jid of its envelopes, which may be another than the job's."""
    db_name: str = ""
    """As its envelopes have it; empty if they have none."""
    dataset_name: str = ""
    unique: bool = False
    """Whether equal payloads are stored once, under an `_id` that is not the message's."""
    key: tuple[str, ...] = ()
    """The fields that tell its documents apart, under an `_id` that is not the message's; maybe none."""
    on_existing: str = ""
    """What becomes of a document that is there; empty if there is no key."""
    published: int = 0
    """Messages handed over for delivery."""
    failed: int = 0
    """Messages that were never published: not serialisable, dropped or refused."""
    filtered: int = 0
    """Items that the settings leave out."""
    first_id: str = ""
    """24 hex digits; empty if nothing was published."""
    last_id: str = ""

    @property
    def accounted(self) -> int:
        """Items that something is known of."""
        return self.published + self.failed + self.filtered

    @property
    def ids(self) -> IdRange | None:
        """The ids of what was published, if anything was."""
        if not self.first_id:
            return None
        return IdRange(bytes.fromhex(self.first_id), bytes.fromhex(self.last_id))

    def to_payload(self) -> dict[str, Any]:
        """One entry of `streams`; what version 0.1 did not know is left out if it says nothing."""
        fields = {**asdict(self), "key": list(self.key)}
        return {name: value for name, value in fields.items() if value or name not in _IF_ANY}

    @classmethod
    def from_payload(cls, payload: Any, context: str) -> StreamRecord:
        """Read one entry of `streams`; raises SerializationError that begins with `context`."""
        fields = PayloadFields(payload, context)
        record = cls(
            stream=fields.text("stream"),
            topic=fields.of("topic", str),
            jid=fields.text("jid"),
            db_name=fields.of("db_name", str),
            dataset_name=fields.of("dataset_name", str),
            unique=fields.of("unique", bool),
            key=fields.names("key"),
            on_existing=fields.text_if_given("on_existing"),
            published=fields.count("published"),
            failed=fields.count("failed"),
            filtered=fields.count_if_given("filtered") or 0,
            first_id=_id(fields, "first_id", context),
            last_id=_id(fields, "last_id", context),
        )
        _check_ids(record, context)
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingRecord:
    """What one run of a job has published."""

    job: str
    spider: str
    project: str
    finish_reason: str
    opened: datetime
    """With its time zone."""
    closed: datetime
    streams: tuple[StreamRecord, ...]
    item_scraped_count: int | None = None
    """Items that the run has scraped, by Scrapy's own stat; None if Scrapy did not count them."""
    response_received_count: int | None = None
    """The same for responses."""
    run: int | None = None
    """Its number among the runs of a job that can be paused, from 1; None for other jobs."""

    def scraped_of(self, stream: StreamRecord) -> int | None:
        """How many of the scraped items are those of one of its streams; None if that is not known.

        Scrapy counts them all together: the other streams have what they account for, the first has the rest.
        """
        if self.item_scraped_count is None or not is_items(stream.stream):
            return None
        first, *others = (each for each in self.streams if is_items(each.stream))
        if stream is not first:
            return stream.accounted
        return self.item_scraped_count - sum(other.accounted for other in others)

    @property
    def jid(self) -> str:
        """`<job>.<spider>.<project>`."""
        return make_jid(self.job, self.spider, self.project)

    def to_payload(self) -> dict[str, Any]:
        """The payload of its envelope."""
        return {
            **asdict(self),
            "opened": self.opened.astimezone(timezone.utc).isoformat(),
            "closed": self.closed.astimezone(timezone.utc).isoformat(),
            "streams": [stream.to_payload() for stream in self.streams],
        }

    @classmethod
    def from_payload(cls, payload: Any) -> ClosingRecord:
        """Read a payload; fields that it does not know are ignored. Raises SerializationError."""
        context = "the closing record"
        fields = PayloadFields(payload, context)
        return cls(
            job=fields.text("job"),
            spider=fields.text("spider"),
            project=fields.text("project"),
            finish_reason=fields.of("finish_reason", str),
            opened=fields.time("opened"),
            closed=fields.time("closed"),
            streams=tuple(
                StreamRecord.from_payload(stream, f"{context}: streams[{number}]")
                for number, stream in enumerate(fields.of("streams", list))
            ),
            item_scraped_count=fields.count_if_given("item_scraped_count"),
            response_received_count=fields.count_if_given("response_received_count"),
            run=fields.count_if_given("run"),
        )


def is_items(stream: str) -> bool:
    """Whether Scrapy counts what a stream of that name carries."""
    return stream.partition("/")[0] == ITEMS


def _id(fields: PayloadFields, name: str, context: str) -> str:
    text = fields.of(name, str)
    if text and id_bytes(text) is None:
        raise SerializationError(f"{context}: {name} is {shown(text)}, not 24 hex digits")
    return text.lower()


def _check_ids(record: StreamRecord, context: str) -> None:
    if bool(record.first_id) != bool(record.last_id):
        raise SerializationError(f"{context} has one of first_id and last_id, not both")
    ids = record.ids
    if ids is None:
        if record.published:
            raise SerializationError(f"{context}: {record.published} published, but no first_id")
    elif not record.topic:
        raise SerializationError(f"{context}: {record.published} published, but no topic")
    elif ids.first > ids.last or ids.nonce != nonce_of(ids.last):
        raise SerializationError(f"{context}: first_id and last_id are not of one run")
