"""The jid, which names a job: `<job>.<spider>.<project>`."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timezone
from typing import Any, NamedTuple

from estela_queue_adapter.errors import BadName
from estela_wire.shown import shown

FORM = "<job>.<spider>.<project>"

_LONGEST = 1_000  # characters; no names that fit are made of more, and it is remembered with them
# In a part of a jid that is made here: what no database has, nor any line of a log, nor UTF-8.
_NOT_IN_PART = re.compile(r'[/\\. "$*<>:|?\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


_OUR_JOB = re.compile(r"(\d{8}T\d{6})(\d{3})-[0-9a-f]{4}")


class JidParts(NamedTuple):
    """The parts of a jid."""

    job: str
    spider: str
    project: str


def make_jid(job: str, spider: str, project: str) -> str:
    """The jid of these parts."""
    return f"{job}.{spider}.{project}"


def parse_jid(jid: Any) -> JidParts:
    """The parts of `<job>.<spider>.<project>`; raises BadName."""
    parts = jid.split(".") if isinstance(jid, str) and len(jid) <= _LONGEST else []
    if len(parts) != 3 or not all(parts):
        raise BadName(f"jid {shown(jid)} is not {FORM}")
    return JidParts(*parts)


def as_jid_part(name: str) -> str:
    """`name` as a part of a jid: an underscore for each character that a jid or a database cannot have."""
    return _NOT_IN_PART.sub("_", name) or "_"


def new_job_id(now: datetime | None = None) -> str:
    """A job id such as 20260131T093015123-7fa2: sorts by time, to the millisecond."""
    now = now or datetime.now(timezone.utc)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{secrets.token_hex(2)}"


def time_of_job(job: str) -> float | None:
    """When such an id was made, in seconds since the epoch; None for ids of others."""
    found = _OUR_JOB.fullmatch(job)
    if found is None:
        return None
    try:
        moment = datetime.strptime(f"{found[1]}+0000", "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None
    return moment.timestamp() + int(found[2]) / 1000
