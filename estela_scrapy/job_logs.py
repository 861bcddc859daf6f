"""The log of a job, line by line, to the queue."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable

from scrapy.crawler import Crawler
from scrapy.utils.log import TopLevelFormatter
from typing_extensions import Self

from estela_queue_adapter import queue_noisy_libraries
from estela_queue_adapter.serialization import serialize


class _ShortNames(logging.Formatter):
    """Shortens names as LOG_SHORT_NAMES wants it, and leaves the record to others as it was."""

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        TopLevelFormatter(["scrapy"]).filter(record)
        return super().format(record)


class JobLogHandler(logging.Handler):
    """Gives `publish` the payload of stream `logs` for each line of one crawl.

    `publish` must not wait; it may be called from several threads at once. A line that arises while one is
    published, in the same thread, is not taken, nor are those of the queue's client: each would bring forth
    the next. Of several crawls in one process, each takes its own lines and those that are nobody's.
    """

    def __init__(self, crawler: Crawler, publish: Callable[[bytes], None], level: int | str) -> None:
        super().__init__(level)
        self._crawler = crawler
        self._publish = publish
        self._publishing = threading.local()
        self.failed = 0
        """Lines that could not be written or published."""

    @classmethod
    def from_crawler(
        cls, crawler: Crawler, publish: Callable[[bytes], None], level: int | str = logging.INFO
    ) -> Self:
        """A handler whose lines look as Scrapy's own log does."""
        handler = cls(crawler, publish, level)
        settings = crawler.settings
        formatter = _ShortNames if settings.getbool("LOG_SHORT_NAMES") else logging.Formatter
        handler.setFormatter(formatter(settings.get("LOG_FORMAT"), settings.get("LOG_DATEFORMAT")))
        return handler

    def handle(self, record: logging.LogRecord) -> bool:
        """As the base class does it, without its lock: who holds another lock and logs must not wait here."""
        taken = bool(self.filter(record)) and self._is_wanted(record)
        if taken:
            self.emit(record)
        return taken

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(self._publishing, "now", False):
            return
        self._publishing.now = True
        try:
            self._publish(serialize({"log": self.format(record), "datetime": record.created}))
        except Exception:  # noqa: BLE001  (whoever writes a line must not fail for it; logging says it)
            self.failed += 1
            self.handleError(record)
        finally:
            self._publishing.now = False

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        spider = getattr(record, "spider", None)
        crawler = getattr(record, "crawler", None)
        return (
            (spider is None or spider is self._crawler.spider)
            and (crawler is None or crawler is self._crawler)
            and record.name.partition(".")[0] not in queue_noisy_libraries
        )
