"""Which job a crawl is: the names that its messages carry."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from estela_queue_adapter import private_files
from estela_queue_adapter.errors import ConfigurationError

# What MongoDB takes in no database name; the dot parts a jid.
_NOT_IN_A_NAME = re.compile(r'[/\\. "$*<>:|?\x00]')
_SERVER_DATABASES = ("admin", "config", "local")
_JOB_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{4}")
_MAX_DATABASE = 63  # bytes, MongoDB's limit


@dataclass(frozen=True, slots=True)
class Job:
    """A job's identity."""

    job: str
    spider: str
    project: str
    items_jid: str = ""
    """The jid of items where it differs: estela gives scheduled jobs with a unique collection one."""

    @property
    def jid(self) -> str:
        """`<job>.<spider>.<project>`."""
        return f"{self.job}.{self.spider}.{self.project}"


def identify(
    spider: str,
    project: str,
    environ: Mapping[str, str],
    *,
    jobdir: str | None = None,
    now: datetime | None = None,
) -> Job:
    """The job that this crawl is.

    ESTELA_SPIDER_JOB is its jid where set. Else it is made of the names of spider and project, in which an
    underscore stands for each character that a jid or a database name cannot have, and of a job id that no
    other run has and that sorts by time. Where the crawl has a `jobdir`, by which it is paused and resumed,
    its parts are one job: the id is kept there. Raises ConfigurationError.
    """
    items_jid = environ.get("ESTELA_COLLECTION", "")
    if given := environ.get("ESTELA_SPIDER_JOB", ""):
        parts = given.split(".")
        if len(parts) != 3 or not all(parts):
            raise ConfigurationError(f"ESTELA_SPIDER_JOB={given} is not <job>.<spider>.<project>")
        return Job(parts[0], parts[1], parts[2], items_jid)
    job_id = _kept_id(Path(jobdir), now) if jobdir else new_job_id(now)
    job = Job(job_id, _plain(spider), _plain(project), items_jid)
    if job.project in _SERVER_DATABASES or len(job.project.encode()) > _MAX_DATABASE:
        raise ConfigurationError(
            f"BOT_NAME={project} cannot be the name of a database; rename it, or set ESTELA_SPIDER_JOB"
        )
    return job


def _kept_id(jobdir: Path, now: datetime | None) -> str:
    path = jobdir / "estela-job-id"
    try:
        if path.exists() and (kept := path.read_text().strip()):
            if _JOB_ID.fullmatch(kept):
                return kept
            raise ConfigurationError(f"{path} holds no job id; remove it to begin a new job")
        made = new_job_id(now)
        private_files.create(path)
        path.write_text(f"{made}\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"JOBDIR={jobdir}: the job id in {path.name} cannot be kept: {error}"
        ) from error
    return made


def new_job_id(now: datetime | None = None) -> str:
    """A job id such as 20260131T093015123-7fa2: sorts by time, to the millisecond."""
    now = now or datetime.now(timezone.utc)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def _plain(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name) or "_"
