"""The runs of a job that can be paused: how often it was started, and which of them publishes its stats.

A run that was killed leaves no other trace than its number.
"""

from __future__ import annotations

from pathlib import Path

from estela_queue_adapter.files import private as private_files
from estela_terminal.printable import printable_logger

_FILE = "estela-job-runs"
_STATS_FILE = "estela-job-stats"
_FINISHED = "finished"

logger = printable_logger(__name__)


def count_run(jobdir: str | None, jid: str) -> int | None:
    """The number of this run of the job, from 1, kept in JOBDIR; None if that is not possible."""
    if not jobdir:
        return None
    path = Path(jobdir) / _FILE
    try:
        private_files.create(path)
        kept = path.read_text().split()
        number = int(kept[1]) + 1 if kept[:1] == [jid] else 1
        path.write_text(f"{jid} {number}\n")
    except (OSError, ValueError, IndexError) as error:
        logger.warning(
            "%s: the number of this run cannot be kept: %s. If a run of this job is killed, estela-verify "
            "will not know",
            path,
            error,
        )
        return None
    return number


def why_no_stats(jobdir: str | None, jid: str, reason: str) -> str:
    """Why this run of the job does not publish stats, for people; empty if it does.

    They are one document a job: that of the first run that finishes. `reason` is why the spider closed. A job
    that cannot be paused has one run.
    """
    if not jobdir:
        return ""
    if reason != _FINISHED:
        return f"it ended with {reason}, and the run that finishes publishes them"
    try:
        kept = (Path(jobdir) / _STATS_FILE).read_text().strip()
    except (OSError, ValueError):  # none was kept; or it cannot be read, and keeping one will tell so
        return ""
    return "an earlier run that finished has published them" if kept == jid else ""


def keep_stats_published(jobdir: str | None, jid: str) -> None:
    """Have `why_no_stats` say so from now on."""
    if not jobdir:
        return
    path = Path(jobdir) / _STATS_FILE
    try:
        private_files.create(path)
        path.write_text(f"{jid}\n")
    except OSError as error:
        logger.warning(
            "%s: that the stats of this job are published cannot be kept: %s. If it is run again, its stats "
            "become a dead letter",
            path,
            error,
        )
