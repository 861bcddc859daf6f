"""What a crawl's stats and its last log lines say of its messages."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from scrapy.crawler import Crawler

from estela_scrapy.backpressure import Backpressure
from estela_scrapy.delivery.buffer import Undelivered
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.failures import ConversionLog, UnkeyedLog
from estela_scrapy.job.streams import Streams
from estela_terminal.printable import printable_logger

logger = printable_logger(__name__)


class DeliveryReport:
    """Sets the stats `estela/...`, and logs what the queue has not taken and what to do about it.

    Called at the end of a crawl, by one thread at a time: the reactor's, or the main thread at exit.
    """

    def __init__(
        self,
        crawler: Crawler,
        publisher: Publisher,
        streams: Streams,
        conversions: ConversionLog,
        unkeyed: UnkeyedLog,
        backpressure: Backpressure,
        outbox_path: Path,
    ) -> None:
        self._crawler = crawler
        self._publisher = publisher
        self._streams = streams
        self._conversions = conversions
        self._unkeyed = unkeyed
        self._backpressure = backpressure
        self._outbox_path = outbox_path

    def set_stats(self, undelivered: Undelivered) -> None:
        """Set the stats to what is so now."""
        stats, counts = self._crawler.stats, self._publisher.counts
        for name, count in self._counts().items():
            stats.set_value(f"estela/{name}", count)
        stats.set_value("estela/outbox/passed", counts.spilled)
        stats.set_value("estela/outbox/waiting", undelivered.waiting)
        stats.set_value("estela/outbox/rejected", counts.total_rejected())
        stats.set_value("estela/lost", undelivered.lost)
        stats.set_value("estela/items/converted", self._conversions.items)
        stats.set_value("estela/pauses", self._backpressure.pauses)
        if self._streams.items.has_keys:
            stats.set_value("estela/items/unkeyed", self._unkeyed.items)

    def _counts(self) -> Counter[str]:
        """What became of each stream, and of the items of all routes together."""
        counts, found = self._publisher.counts, Counter[str]()
        for stream in self._streams:
            of_stream = {
                "published": counts.published[stream.name],
                "bytes": counts.bytes[stream.name],
                "failed": stream.failures + counts.rejected[stream.name],
            }
            if stream.may_filter:
                of_stream["filtered"] = stream.filtered
            for name in {stream.name, stream.name.partition("/")[0]}:
                found.update({f"{name}/{count}": number for count, number in of_stream.items()})
        return found

    def log_undelivered(self, undelivered: Undelivered, why: str) -> None:
        """Log at ERROR what waits in the outbox (`why`: for what reason), was refused, or is lost."""
        path, extra = self._outbox_path, {"spider": self._crawler.spider}
        if undelivered.waiting:
            logger.error(
                "%d message(s) wait in the outbox %s: %s. The next crawl with this outbox sends them, or: "
                "estela-outbox --path %s send",
                undelivered.waiting,
                path,
                why,
                path,
                extra=extra,
            )
        if rejected := self._publisher.counts.total_rejected():
            logger.error(
                "The queue refused %d message(s), which are kept in the outbox %s. See why: "
                "estela-outbox --path %s list",
                rejected,
                path,
                path,
                extra=extra,
            )
        if undelivered.lost:
            logger.error(
                "%d message(s) are lost: the queue did not take them, and %s.",
                undelivered.lost,
                undelivered.why,
                extra=extra,
            )
