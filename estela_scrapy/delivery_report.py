"""What a crawl's stats and its last log lines say of its messages."""

from __future__ import annotations

from pathlib import Path

from scrapy import Spider
from scrapy.statscollectors import StatsCollector

from estela_scrapy.delivery.buffer import Undelivered
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.streams import Streams
from estela_terminal.printable import printable_logger

logger = printable_logger(__name__)


def account(stats: StatsCollector, publisher: Publisher, streams: Streams, left: Undelivered) -> None:
    """Set the stats `estela/...`."""
    counts = publisher.counts
    for stream in streams:
        stats.set_value(f"estela/{stream.name}/published", counts.published[stream.name])
        stats.set_value(f"estela/{stream.name}/bytes", counts.bytes[stream.name])
        stats.set_value(f"estela/{stream.name}/failed", stream.failed + counts.rejected[stream.name])
    stats.set_value("estela/outbox/passed", counts.spilled)
    stats.set_value("estela/outbox/waiting", left.waiting)
    stats.set_value("estela/outbox/rejected", counts.rejected.total())
    stats.set_value("estela/lost", left.lost)


def say_what_is_left(
    publisher: Publisher, left: Undelivered, why: str, path: Path, spider: Spider | None
) -> None:
    """Say loudly what the queue has not taken, and what to do about it."""
    extra = {"spider": spider}
    if left.waiting:
        logger.error(
            "%d message(s) wait in the outbox %s: %s. The next crawl with this outbox sends them, or: "
            "estela-outbox --path %s send",
            left.waiting,
            path,
            why,
            path,
            extra=extra,
        )
    if rejected := publisher.counts.rejected.total():
        logger.error(
            "The queue refused %d message(s), which are kept in the outbox %s. See why: "
            "estela-outbox --path %s list",
            rejected,
            path,
            path,
            extra=extra,
        )
    if left.lost:
        logger.error(
            "%d message(s) are lost: the queue did not take them, and %s.",
            left.lost,
            left.why,
            extra=extra,
        )
