"""The closing record: what one crawl says at its end about what it has published.

It is the contract between the crawl, which writes one, and whoever checks that all of it has been stored. It
travels as the payload of an envelope, on a topic of its own. A job may have several, as it was run again or
started afresh: they add up. Copies of one record, with the same envelope id, count once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from estela_queue_adapter.errors import SerializationError
from estela_wire.jid import make_jid
from estela_wire.message_id import IdRange, id_bytes, nonce_of
from estela_wire.shown import shown

ITEMS = "items"

_KINDS = {str: "text", bool: "true or false", int: "a whole number", list: "a list"}

_IF_ANY = ("key", "on_existing", "filtered")
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d+)")  # of a second

T = TypeVar("T")


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
        fields = _object(payload, context)
        record = cls(
            stream=_nonempty(fields, "stream", context),
            topic=_field(fields, "topic", str, context),
            jid=_nonempty(fields, "jid", context),
            db_name=_field(fields, "db_name", str, context),
            dataset_name=_field(fields, "dataset_name", str, context),
            unique=_field(fields, "unique", bool, context),
            key=_names(fields, "key", context),
            on_existing=_field({"on_existing": "", **fields}, "on_existing", str, context),
            published=_count(fields, "published", context),
            failed=_count(fields, "failed", context),
            filtered=_count_if_given(fields, "filtered", context) or 0,
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
        fields = _object(payload, context)
        return cls(
            job=_nonempty(fields, "job", context),
            spider=_nonempty(fields, "spider", context),
            project=_nonempty(fields, "project", context),
            finish_reason=_field(fields, "finish_reason", str, context),
            opened=_time(fields, "opened", context),
            closed=_time(fields, "closed", context),
            streams=tuple(
                StreamRecord.from_payload(stream, f"{context}: streams[{number}]")
                for number, stream in enumerate(_field(fields, "streams", list, context))
            ),
            item_scraped_count=_count_if_given(fields, "item_scraped_count", context),
            response_received_count=_count_if_given(fields, "response_received_count", context),
            run=_count_if_given(fields, "run", context),
        )


def is_items(stream: str) -> bool:
    """Whether Scrapy counts what a stream of that name carries."""
    return stream.partition("/")[0] == ITEMS


def _object(payload: Any, context: str) -> Mapping[str, Any]:
    if not isinstance(payload, dict):
        raise SerializationError(f"{context} is {shown(payload)}, not an object")
    return payload


def _field(fields: Mapping[str, Any], name: str, kind: type[T], context: str) -> T:
    if name not in fields:
        raise SerializationError(f"{context} has no {name}")
    value = fields[name]
    if type(value) is not kind:
        raise SerializationError(f"{context}: {name} is {shown(value)}, not {_KINDS[kind]}")
    return value


def _nonempty(fields: Mapping[str, Any], name: str, context: str) -> str:
    value = _field(fields, name, str, context)
    if not value:
        raise SerializationError(f"{context}: {name} is empty")
    return value


def _count(fields: Mapping[str, Any], name: str, context: str) -> int:
    value = _field(fields, name, int, context)
    if value < 0:
        raise SerializationError(f"{context}: {name} is {value}, below 0")
    return value


def _count_if_given(fields: Mapping[str, Any], name: str, context: str) -> int | None:
    """None if it is null, or absent as in records of version 0.1."""
    return None if fields.get(name) is None else _count(fields, name, context)


def _names(fields: Mapping[str, Any], name: str, context: str) -> tuple[str, ...]:
    """Texts; none if it is absent."""
    names = fields.get(name, [])
    if type(names) is not list or not all(isinstance(each, str) for each in names):
        raise SerializationError(f"{context}: {name} is {shown(names)}, not a list of names")
    return tuple(names)


def _microseconds(fraction: re.Match[str]) -> str:
    """Six digits: Python 3.10 reads three or six, and no Z."""
    return f".{fraction[1][:6]:0<6}"


def _time(fields: Mapping[str, Any], name: str, context: str) -> datetime:
    text = _field(fields, name, str, context)
    try:
        time = datetime.fromisoformat(_FRACTION.sub(_microseconds, text.replace("Z", "+00:00")))
    except ValueError as error:
        raise SerializationError(f"{context}: {name} is {shown(text)}, not an ISO 8601 time") from error
    if time.tzinfo is None:
        raise SerializationError(f"{context}: {name} is {shown(text)}, a time without its zone")
    return time


def _id(fields: Mapping[str, Any], name: str, context: str) -> str:
    text = _field(fields, name, str, context)
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
