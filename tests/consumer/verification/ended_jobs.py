"""Jobs that have ended: their messages on the queue, their closing record, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from estela_wire.closing_record import ClosingRecord, StreamRecord
from estela_wire.message_id import IdSource
from tests.consumer.commands import Result, publish, run

OPENED = datetime(2026, 1, 31, 9, 30, tzinfo=timezone.utc)


class EndedJob:
    """Publishes as a crawl does; `close` puts the closing record."""

    def __init__(self, jid: str, jobs_topic: str) -> None:
        self.jid = jid
        self.jobs_topic = jobs_topic
        self.streams: list[StreamRecord] = []

    def stream(
        self, topic: str, payloads: Iterable[Any], stream: str = "items", **names: Any
    ) -> StreamRecord:
        """Publish one stream; `names` are fields of its record, `unique` among them."""
        record = StreamRecord(stream=stream, topic=topic, jid=names.pop("jid", self.jid), **names)
        envelopes, ids = [], IdSource()
        names_of_own = ("db_name", "dataset_name", "key", "on_existing")
        own = {name: value for name in names_of_own if (value := getattr(record, name))}
        for payload in payloads:
            envelopes.append(
                {
                    "jid": record.jid, "unique": str(record.unique), **own,
                    "id": ids.next().decode(), "payload": payload,
                }
            )  # fmt: skip
        publish(topic, envelopes)
        record = replace(record, published=len(envelopes), first_id=ids.first, last_id=ids.last)
        self.streams.append(record)
        return record

    def close(
        self,
        *,
        copies: int = 1,
        finish_reason: str = "finished",
        scraped: int | None = None,
        later: int = 0,
        **changes: Any,
    ) -> None:
        """Put the closing record; `changes` are fields of its first stream.

        It is `later` minutes later than the others. `scraped` is Scrapy's own count; without one the record
        is as version 0.1 wrote it.
        """
        job, spider, project = self.jid.split(".")
        self.streams[:1] = [replace(stream, **changes) for stream in self.streams[:1]]
        record = ClosingRecord(
            job=job, spider=spider, project=project, finish_reason=finish_reason, item_scraped_count=scraped,
            opened=OPENED, closed=OPENED + timedelta(minutes=1 + later), streams=tuple(self.streams),
        )  # fmt: skip
        envelope = {"jid": self.jid, "unique": "False", "id": IdSource().next().decode()}
        payload = record.to_payload()
        if scraped is None:
            del payload["item_scraped_count"], payload["response_received_count"], payload["run"]
        publish(self.jobs_topic, [{**envelope, "payload": payload}] * copies)


def verified(job: EndedJob, *arguments: str, name: str = "") -> Result:
    """What `estela-verify --json` says of the job, or of a `name`."""
    return run("estela-verify", name or job.jid, "--jobs-topic", job.jobs_topic, "--json", *arguments)


def counts(result: Result, stream: int = 0) -> dict[str, Any]:
    """The counts of one stream that are not 0."""
    assert "Traceback" not in result.err
    told: dict[str, Any] = result.summary["streams"][stream]
    names = (
        "published", "stored", "dead_letters", "failed", "missing", "too_many", "unaccounted", "unscraped"
    )  # fmt: skip
    return {name: told[name] for name in names if told[name] != 0}
