"""The streams of a job: what each message is wrapped in, and what each was in the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from scrapy.crawler import Crawler
from scrapy.statscollectors import StatsCollector

from estela_queue_adapter.serialization import serialize
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.job.identity import Job
from estela_scrapy.job.logs import JobLogHandler
from estela_scrapy.job.runs import keep_stats_published, why_no_stats
from estela_scrapy.job.stats import stats_payload
from estela_scrapy.routing.item_streams import ItemStreams
from estela_scrapy.routing.stream import Stream
from estela_scrapy.routing.target import JOBS, LOGS, REQUESTS, STATS
from estela_scrapy.settings import ExtensionSettings
from estela_terminal.printable import printable_logger
from estela_wire.closing_record import ClosingRecord
from estela_wire.heartbeat import Heartbeat

logger = printable_logger(__name__)


class LogStream(Stream):
    """The log lines, of which the handler counts those that it could not make a payload of."""

    handler: JobLogHandler | None = None

    @property
    def failures(self) -> int:
        return self.failed + (self.handler.failed if self.handler is not None else 0)


class Streams:
    """All of a job's; one without a topic is not published."""

    def __init__(self, publisher: Publisher, settings: ExtensionSettings, job: Job, run: int | None) -> None:
        self._publisher = publisher
        self._job = job
        self._settings = settings
        self._run = run
        targets = settings.targets(job)
        self.items = ItemStreams(publisher, targets)
        self.requests = Stream(publisher, REQUESTS, targets.beside_items(REQUESTS))
        self._stats = Stream(publisher, STATS, targets.beside_items(STATS))
        self._logs = LogStream(publisher, LOGS, targets.beside_items(LOGS))
        self._jobs = Stream(publisher, JOBS, targets.beside_items(JOBS))

    def __iter__(self) -> Iterator[Stream]:
        """Those that are published."""
        yield from self.items
        yield from (stream for stream in (self.requests, self._stats, self._logs) if stream.topic)

    def begin_logs(self, handler: JobLogHandler) -> None:
        """Publish the lines that the handler has taken so far, and takes until the end."""
        self._logs.handler = handler
        handler.begin(self._logs.publish_unless_full)

    @property
    def has_jobs(self) -> bool:
        """Whether it is told on the queue what becomes of the job."""
        return bool(self._jobs.topic)

    def publish_heartbeat(self, crawler: Crawler, opened: datetime, interval: float) -> None:
        """Tell how far the job is, unless the queue has not taken what was told before. Never blocks."""
        if self._publisher.accepted(JOBS) > self._publisher.counts.published[JOBS]:
            return
        streams = list(self)
        heartbeat = Heartbeat(
            sent=datetime.now(timezone.utc),
            opened=opened,
            interval=interval,
            published=sum(self._publisher.accepted(stream.name) for stream in streams),
            failed=sum(stream.failures for stream in streams),
            scraped=_counted_by_scrapy(crawler.stats, "item_scraped_count"),
            responses=_counted_by_scrapy(crawler.stats, "response_received_count"),
        )
        self._jobs.publish_unless_full(serialize(heartbeat.to_payload()))

    def end(self, crawler: Crawler, reason: str, opened: datetime) -> None:
        """Publish what a job tells at its end: its stats, and last its closing record."""
        closed = datetime.now(timezone.utc)
        if self._logs.handler is not None:
            self._logs.handler.end()
        if self._stats.topic:
            self._publish_stats(crawler, reason, closed)
        if self._jobs.topic:
            record = ClosingRecord(
                job=self._job.job,
                spider=self._job.spider,
                project=self._job.project,
                finish_reason=reason,
                opened=opened,
                closed=closed,
                streams=tuple(stream.record() for stream in self),
                item_scraped_count=_counted_by_scrapy(crawler.stats, "item_scraped_count"),
                response_received_count=_counted_by_scrapy(crawler.stats, "response_received_count"),
                run=self._run,
            )
            self._jobs.publish(serialize(record.to_payload()))

    def _publish_stats(self, crawler: Crawler, reason: str, closed: datetime) -> None:
        jobdir, jid = crawler.settings.get("JOBDIR"), self._job.jid
        if why := why_no_stats(jobdir, jid, reason):
            logger.info("The stats of this run of job %s are not published: %s.", jid, why)
            return
        try:
            spider, goal = self._job.spider_name, self._settings.goal
            payload = stats_payload(crawler.stats.get_stats(), spider, reason, closed, goal)
        except Exception:  # the collector may be anybody's, and the closing record must follow
            self._stats.failed += 1
            logger.exception("The stats of job %s are not published.", self._job.jid)
        else:
            self._stats.publish(payload)
            keep_stats_published(jobdir, jid)


def _counted_by_scrapy(stats: StatsCollector, name: str) -> int | None:
    """A stat of Scrapy's CoreStats, which sets it with the first that it counts; None if it does not run."""
    try:
        counts = stats.get_value("start_time") is not None
        value = stats.get_value(name, 0 if counts else None)
    except Exception as error:  # noqa: BLE001  (as above: the closing record must follow)
        logger.warning("Scrapy's %s is not told on the jobs topic: %s", name, error)
        return None
    return value if type(value) is int and value >= 0 else None
