"""The log of a job, line by line, to the queue."""

from __future__ import annotations

import copy
import logging
import reprlib
import threading
import weakref
from collections.abc import Callable

from scrapy.crawler import Crawler
from scrapy.settings import Settings
from scrapy.utils.log import TopLevelFormatter, log_scrapy_info
from typing_extensions import Self

from estela_queue_adapter import queue_noisy_libraries
from estela_queue_adapter.serialization import serialize

MAX_LINE = 256 * 1024  # bytes of one line's payload; what is longer is cut
_EARLY_BYTES = 1024 * 1024  # of lines from before the spider was open

_ARGUMENTS = reprlib.Repr()  # of a line that cannot be formatted: enough to find its place, and bounded
_ARGUMENTS.maxstring = _ARGUMENTS.maxother = 200


class _ShortNames(logging.Formatter):
    """Shortens names as LOG_SHORT_NAMES wants it, and leaves the record to others as it was."""

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        TopLevelFormatter(["scrapy"]).filter(record)
        return super().format(record)


class JobLogHandler(logging.Handler):
    """Makes a payload of stream `logs` of each line of one crawl.

    Until `begin` they wait in memory, 1 MiB at most; from then on they go to what it is given. A line that
    arises while one is published, in the same thread, is not taken, nor are those of the queue's client: each
    would bring forth the next. Of several crawls in one process, each takes its own lines and those that are
    nobody's.
    """

    def __init__(self, crawler: Crawler, level: int | str, max_bytes: int) -> None:
        """`max_bytes` bounds the payload of a line."""
        super().__init__(level)
        self._crawler = weakref.ref(crawler)
        self._max_bytes = max_bytes
        self._publish: Callable[[bytes], None] | None = None
        self._early: list[bytes] = []
        self._early_bytes = 0
        # Guards the early lines, and that none is published before them; taken only while `_publishing.now`.
        self._beginning = threading.Lock()
        self._publishing = threading.local()
        self.failed = 0
        """Lines that could not be written or published."""

    @classmethod
    def from_crawler(
        cls, crawler: Crawler, level: int | str = logging.INFO, max_bytes: int = MAX_LINE
    ) -> Self:
        """A handler whose lines look as Scrapy's own log does."""
        handler = cls(crawler, level, max_bytes)
        settings = crawler.settings
        formatter = _ShortNames if settings.getbool("LOG_SHORT_NAMES") else logging.Formatter
        handler.setFormatter(formatter(settings.get("LOG_FORMAT"), settings.get("LOG_DATEFORMAT")))
        weakref.finalize(crawler, handler.end).atexit = False  # a crawl may fail before it ends here
        return handler

    def listen(self) -> None:
        """Take every line of the process from here on."""
        logging.getLogger().addHandler(self)

    def replay_start(self, settings: Settings) -> None:
        """Have Scrapy log again, for this handler alone, what it logged before we were loaded."""
        scrapys = logging.getLogger(log_scrapy_info.__module__)
        handlers, scrapys.handlers = scrapys.handlers, [self]
        propagate, scrapys.propagate = scrapys.propagate, False
        try:
            log_scrapy_info(settings)
        finally:
            scrapys.handlers, scrapys.propagate = handlers, propagate

    def end(self) -> None:
        """Take no more lines."""
        logging.getLogger().removeHandler(self)

    def begin(self, publish: Callable[[bytes], None]) -> None:
        """Give `publish` what waits and every line from here on.

        It must not wait; it may be called from several threads at once.
        """
        self._publishing.now = True  # before the lock: what this thread logs meanwhile must not wait for it
        try:
            with self._beginning:
                try:
                    for payload in self._early:
                        publish(payload)
                finally:
                    self._early.clear()
                    self._publish = publish
        finally:
            self._publishing.now = False

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
            self._hand_over(line_payload(self._line(record), record.created, self._max_bytes))
        except Exception:  # noqa: BLE001  (whoever logs must not fail for it; logging reports it)
            self.failed += 1
            self.handleError(record)
        finally:
            self._publishing.now = False

    def _line(self, record: logging.LogRecord) -> str:
        """The record as Scrapy's log has it; if it cannot be formatted, message and arguments as they are.

        Nothing is said of that here: the handlers of Scrapy's own log do.
        """
        try:
            return self.format(record)
        except Exception:  # noqa: BLE001  (the message, its arguments and the formats are anybody's)
            raw = copy.copy(record)
            raw.msg, raw.args = unformatted(record), None
        try:
            return self.format(raw)
        except Exception:  # noqa: BLE001  (LOG_FORMAT itself, or the exception that the record carries)
            return str(raw.msg)

    def _hand_over(self, payload: bytes) -> None:
        if self._publish is None:
            with self._beginning:
                if self._publish is None:
                    self._keep(payload)
                    return
        self._publish(payload)

    def _keep(self, payload: bytes) -> None:
        if self._early_bytes + len(payload) > _EARLY_BYTES:
            self.failed += 1
        else:
            self._early_bytes += len(payload)
            self._early.append(payload)

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        crawler = self._crawler()
        spider = getattr(record, "spider", None)
        return (
            crawler is not None
            and (spider is None or spider is crawler.spider)
            and getattr(record, "crawler", None) in (None, crawler)
            and record.name.partition(".")[0] not in queue_noisy_libraries
        )


def unformatted(record: logging.LogRecord) -> str:
    """A record's message and its arguments as text, without bringing them together. Raises nothing."""
    return f"{_text(record.msg)} {_text(record.args, _ARGUMENTS.repr)}" if record.args else _text(record.msg)


def _text(value: object, convert: Callable[[object], str] = str) -> str:
    try:
        return str(convert(value))
    except Exception as error:  # noqa: BLE001  (it is somebody else's __str__, which may raise anything)
        return f"<{type(value).__name__}: {type(error).__name__}>"


def line_payload(line: str, created: float, max_bytes: int) -> bytes:
    """The payload of a line that was written at `created`, in epoch seconds.

    One that is longer than `max_bytes` is cut, with a note at its end: the queue would refuse it whole.
    """
    if len(line) <= max_bytes:
        payload = serialize({"log": line, "datetime": created})
        if len(payload) <= max_bytes:
            return payload
    kept = min(len(line), max_bytes)
    while True:
        cut = f"{line[:kept]}... [cut: the line has {len(line)} characters]"
        payload = serialize({"log": cut, "datetime": created})
        if len(payload) <= max_bytes or kept == 0:
            return payload
        kept = min(kept - 1, int(0.95 * kept * max_bytes / len(payload)))
