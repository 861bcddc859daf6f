"""Which job a crawl is: the names that its messages carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from estela_queue_adapter.errors import BadName, ConfigurationError
from estela_queue_adapter.files import private as private_files
from estela_terminal.printable import shown
from estela_wire.jid import as_jid_part, make_jid, new_job_id, parse_jid

# Other schedulers' variables for the job's id: scrapyd's, and Scrapy Cloud's (such as 123/1/7).
SCHEDULERS_VARIABLES = ("SCRAPYD_JOB", "SHUB_JOBKEY")


@dataclass(frozen=True, slots=True)
class Job:
    """A job's identity."""

    job: str
    spider: str
    project: str
    spider_name: str = ""
    """The spider's own name, of which `spider` may be a plainer form."""
    items_jid: str = ""
    """The jid of items if it differs: estela gives scheduled jobs with a unique collection one."""

    @property
    def jid(self) -> str:
        """`<job>.<spider>.<project>`."""
        return make_jid(self.job, self.spider, self.project)


def identify(
    spider: str,
    project: str,
    environ: Mapping[str, str],
    *,
    jobdir: str | None = None,
    now: datetime | None = None,
) -> Job:
    """The job that this crawl is.

    ESTELA_SPIDER_JOB is its jid if set. Else the jid is made of the names of spider and project and of a job
    id: that of scrapyd or Scrapy Cloud if one of them started the process, else one that no other run has
    and that sorts by time. An underscore stands for each character that a jid or a database cannot have. If
    the crawl has a `jobdir`, by which it is paused and resumed, its parts are one job: the first id is kept
    there. Raises ConfigurationError.
    """
    if items_jid := environ.get("ESTELA_COLLECTION", ""):
        _parts("ESTELA_COLLECTION", items_jid)
    if given := environ.get("ESTELA_SPIDER_JOB", ""):
        return Job(*_parts("ESTELA_SPIDER_JOB", given), spider, items_jid)
    job_id = _schedulers_id(environ) or new_job_id(now)
    if jobdir:
        job_id = _kept_id(Path(jobdir), job_id)
    return Job(job_id, as_jid_part(spider), as_jid_part(project), spider, items_jid)


def _parts(variable: str, jid: str) -> tuple[str, str, str]:
    try:
        return parse_jid(jid)
    except BadName as error:
        raise ConfigurationError(f"{variable}={shown(jid)} is not <job>.<spider>.<project>") from error


def _schedulers_id(environ: Mapping[str, str]) -> str:
    given = next(filter(None, (environ.get(name) for name in SCHEDULERS_VARIABLES)), "")
    return as_jid_part(given) if given else ""


def _kept_id(jobdir: Path, new: str) -> str:
    """The id that an earlier part of the crawl kept in `jobdir`, else `new`, which is kept there."""
    path = jobdir / "estela-job-id"
    try:
        if path.exists() and (kept := path.read_text().strip()):
            if kept == as_jid_part(kept):
                return kept
            raise ConfigurationError(f"{path} does not hold a job id; remove it to begin a new job")
        private_files.create(path)
        path.write_text(f"{new}\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"JOBDIR={jobdir}: the job id in {path.name} cannot be kept: {error}"
        ) from error
    return new
