"""How often a job that can be paused was started: a run that was killed leaves no other trace."""

from __future__ import annotations

from pathlib import Path

from estela_queue_adapter.files import private as private_files
from estela_terminal.printable import printable_logger

_FILE = "estela-job-runs"

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
