"""What `estela-verify` says of all jobs of the last day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from rich.console import RenderableType

from estela_consumer.verification.jobs import JobHistory
from estela_consumer.verification.report import as_json, sentence
from estela_consumer.verification.verification import Verification
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import DataTable, as_text

DAY = 86_400.0
"""Seconds that are listed."""

_MOST_ROWS = 1_000  # of a table: nobody reads more, and each takes a third of a millisecond to be laid out
_WORST_FIRST = (
    ExitCode.INCOMPLETE,
    ExitCode.NO_CLOSING_RECORD,
    ExitCode.CUT_SHORT,
    ExitCode.DEAD_LETTERS,
    ExitCode.OK,
)
_WORDS = {
    ExitCode.OK: "complete",
    ExitCode.DEAD_LETTERS: "dead letters",
    ExitCode.CUT_SHORT: "cut short",
    ExitCode.INCOMPLETE: "incomplete",
}


@dataclass(frozen=True, slots=True)
class VerifiedJob:
    """A job, and the verdict on it; None if no run of it has ended."""

    history: JobHistory
    verification: Verification | None

    @property
    def code(self) -> ExitCode:
        """What `estela-verify JOB` ends with."""
        return ExitCode.NO_CLOSING_RECORD if self.verification is None else self.verification.code

    def word(self, now: float) -> str:
        """How it stands, in a word or two; `now` is in seconds since the epoch."""
        if self.verification is not None:
            return _WORDS[self.verification.code]
        heartbeat = self.history.heartbeat
        return "silent" if heartbeat is None or heartbeat.is_late(now) else "running"

    def told(self, now: float) -> str:
        """The same in a sentence."""
        if self.verification is not None:
            return sentence(self.verification)
        return told_of_running(self.history, now)


def told_of_running(job: JobHistory, now: float) -> str:
    """What is known of a job that has no closing record; `now` is in seconds since the epoch."""
    heartbeat = job.heartbeat
    if heartbeat is None:
        return ""
    ago, scraped = now - heartbeat.sent.timestamp(), heartbeat.scraped
    counted = f"{heartbeat.published:,} messages published"
    counted += "" if scraped is None else f", {scraped:,} items scraped"
    if heartbeat.is_late(now):
        return (
            f"silent: its last heartbeat came {ago:,.0f} s ago, after {counted}; its crawl was killed, or "
            "cannot reach the queue"
        )
    return f"running: its last heartbeat came {max(0.0, ago):,.0f} s ago, after {counted}"


def code_of(jobs: Sequence[VerifiedJob]) -> ExitCode:
    """The worst of theirs; NO_CLOSING_RECORD if there are none."""
    return min((job.code for job in jobs), key=_WORST_FIRST.index, default=ExitCode.NO_CLOSING_RECORD)


def jobs_as_table(jobs: Sequence[VerifiedJob], now: float, *, only_failed: bool) -> list[RenderableType]:
    """The jobs, and how many of each kind there are."""
    table = DataTable(box=None, header_style="bold", pad_edge=False)
    for title in ("job", "ended", "state", "published", "missing", ""):
        table.add_data_column(title, number=title in ("published", "missing"))
    shown = _shown(jobs, only_failed)
    for job in shown[:_MOST_ROWS]:
        found = job.verification
        style = {ExitCode.OK: "green", ExitCode.NO_CLOSING_RECORD: ""}.get(job.code, "red")
        table.add_row(
            as_text(job.history.jid),
            as_text(_time(job) if found else ""),
            as_text(job.word(now), style),
            as_text(f"{found.total('published'):,}" if found else ""),
            as_text(f"{found.total('missing'):,}" if found and found.total("missing") else ""),
            as_text(job.told(now)),
        )
    counted = as_text(_counted(jobs, now))
    more = [as_text(f"and {len(shown) - _MOST_ROWS:,} earlier ones, which --json lists")]
    return [table, *(more if len(shown) > _MOST_ROWS else []), "", counted] if shown else [counted]


def jobs_as_json(jobs: Sequence[VerifiedJob], now: float, *, only_failed: bool) -> dict[str, Any]:
    """The same for machines."""
    code = code_of(jobs)
    return {
        "jobs": [_as_json(job, now) for job in _shown(jobs, only_failed)],
        "told": _counted(jobs, now),
        "exit": code.name,
        "exit_code": int(code),
    }


def _shown(jobs: Sequence[VerifiedJob], only_failed: bool) -> list[VerifiedJob]:
    return [job for job in jobs if not (only_failed and job.code is ExitCode.OK)]


def _as_json(job: VerifiedJob, now: float) -> dict[str, Any]:
    if job.verification is not None:
        return {**as_json(job.verification), "state": job.word(now), "ended": _time(job)}
    return {
        "jid": job.history.jid,
        "state": job.word(now),
        "ended": None,
        "told": job.told(now),
        "exit": job.code.name,
        "exit_code": int(job.code),
    }


def _time(job: VerifiedJob) -> str:
    ended = max(record.closed for record in job.history.records)
    return f"{ended.astimezone(timezone.utc):%Y-%m-%d %H:%M:%SZ}"


def _counted(jobs: Sequence[VerifiedJob], now: float) -> str:
    since = datetime.fromtimestamp(now - DAY, timezone.utc)
    if not jobs:
        return f"nothing was heard of any job since {since:%Y-%m-%d %H:%MZ}"
    words = [job.word(now) for job in jobs]
    counts = ", ".join(f"{words.count(word):,} {word}" for word in dict.fromkeys(words))
    return f"{len(jobs):,} {'job' if len(jobs) == 1 else 'jobs'} since {since:%Y-%m-%d %H:%MZ}: {counts}"
