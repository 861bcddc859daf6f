"""What became of a job's messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from estela_terminal.exit_codes import ExitCode
from estela_wire.closing_record import is_items

FINISHED = "finished"
"""The `finish_reason` of a crawl that was not cut short."""
_COMPARED = ("unaccounted", "unscraped")
"""What is found by comparing with Scrapy's own count."""
_INCOMPLETE = ("missing", "failed", "too_many", "unaccounted", "unscraped")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCount:
    """What became of one stream's messages."""

    stream: str
    topic: str
    dataset: str
    """The dataset they belong to; empty if no message of the stream can be stored."""
    group: str
    published: int
    stored: int | None
    """None if several items may be one document: none can be counted as this job's then."""
    on_existing: str
    """What becomes of a document that is there; empty if the stream has no key."""
    dead_letters: int
    failed: int
    filtered: int
    """Items that the crawl's settings leave out."""
    missing: int
    too_many: int
    scraped: int | None
    """Items by Scrapy's own count; None for other streams, and if a closing record does not say.

    Scrapy counts the items of all streams together: what the others account for is theirs, and the rest that
    of the first."""
    unaccounted: int
    """Items that were scraped, but neither published nor counted as failed or filtered."""
    unscraped: int
    """Items that were published or counted as failed or filtered, but never scraped by Scrapy's count."""
    lag: int | None
    """Messages, of all jobs, that the topic's group has still to consume; None if nothing is missing."""

    @property
    def is_items(self) -> bool:
        """Whether Scrapy counts what the stream carries."""
        return is_items(self.stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What became of one job's messages."""

    jid: str
    runs: int
    """How many closing records it has."""
    finish_reason: str
    """Of the last run."""
    responses: int | None
    """Received by Scrapy's own count; None if a closing record does not say."""
    not_published: int | None
    """Items scraped by runs whose settings publish no items; None if one of their records does not say."""
    unrecorded_runs: int
    """Runs without a closing record, of a job that can be paused: they were killed."""
    streams: tuple[StreamCount, ...]

    def total(self, count: str) -> int:
        """The sum of one count over the streams."""
        return sum(getattr(stream, count) or 0 for stream in self.streams)

    def known_total(self, count: str) -> int | None:
        """The same, or None if it is not known: the store cannot tell, or Scrapy has not counted."""
        if count in _COMPARED:
            found = self.total(count)
            return None if not found and self.known_total("scraped") is None else found
        counted = [stream for stream in self.streams if count != "scraped" or stream.is_items]
        return total_of(getattr(stream, count) for stream in counted) if counted else None

    @property
    def settled(self) -> bool:
        """Whether waiting longer would change nothing."""
        return not self.total("missing")

    @property
    def only_missing(self) -> bool:
        """Whether nothing is wrong but that messages are missing, which may be still to come."""
        others = [count for count in _INCOMPLETE if count != "missing"]
        return not self.cut_short and not self.unrecorded_runs and not any(map(self.total, others))

    @property
    def cut_short(self) -> bool:
        """Whether the last run ended before it was finished; an earlier one may have been paused."""
        return self.finish_reason != FINISHED

    @property
    def code(self) -> ExitCode:
        """What `estela-verify` ends with."""
        if self.unrecorded_runs or any(self.total(count) for count in _INCOMPLETE):
            return ExitCode.INCOMPLETE
        if self.cut_short:
            return ExitCode.CUT_SHORT
        return ExitCode.DEAD_LETTERS if self.total("dead_letters") else ExitCode.OK

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "cut_short": self.cut_short}


def total_of(counts: Iterable[int | None]) -> int | None:
    """The sum; None if one of them is not known."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
