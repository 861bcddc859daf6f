"""The heartbeat: what a crawl says of itself while it runs.

It travels as a closing record does, on the same topic, and has a `kind` that tells it from one. The job is
that of the envelope's jid. A job that has neither a late heartbeat nor a closing record was killed, or cannot
reach the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from estela_wire.payload_fields import PayloadFields

KIND = "heartbeat"
SILENT_AFTER = 3
"""Intervals without a heartbeat after which a job counts as silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What one run of a job had done when it was sent."""

    sent: datetime
    """By the crawl's clock, with its time zone."""
    opened: datetime
    interval: float
    """Seconds until the next one."""
    published: int = 0
    """Messages handed over for delivery, of all streams."""
    failed: int = 0
    """Messages that were never published."""
    scraped: int | None = None
    """Items by Scrapy's own stat; None if Scrapy does not count them."""
    responses: int | None = None

    def is_late(self, now: float) -> bool:
        """Whether there should have been others by `now`, seconds since the epoch."""
        return now - self.sent.timestamp() > SILENT_AFTER * self.interval

    def to_payload(self) -> dict[str, Any]:
        """The payload of its envelope."""
        times = {"sent": _text(self.sent), "opened": _text(self.opened)}
        return {"kind": KIND, **asdict(self), **times}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Heartbeat:
        """Read a payload; fields that it does not know are ignored. Raises SerializationError."""
        fields = PayloadFields(payload, "the heartbeat")
        return cls(
            sent=fields.time("sent"),
            opened=fields.time("opened"),
            interval=fields.seconds("interval"),
            published=fields.count("published"),
            failed=fields.count("failed"),
            scraped=fields.count_if_given("scraped"),
            responses=fields.count_if_given("responses"),
        )


def kind_of(payload: Mapping[str, Any]) -> str:
    """What a record on the jobs topic is: KIND, empty for a closing record, or what nobody here knows."""
    kind = payload.get("kind", "")
    return kind if isinstance(kind, str) else "?"


def _text(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds")
