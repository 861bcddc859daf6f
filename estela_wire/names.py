"""What jobs, topics, databases and collections may be called: rules of the crawl and the consumer alike."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from estela_queue_adapter.errors import BadName

STATS_TOPIC = "job_stats"  # estela's: one document a job, all jobs in one collection
SERVER_DATABASES = frozenset({"admin", "config", "local"})

_MAX_DATABASE = 63  # bytes, MongoDB's limit
_MAX_JID = 1_000  # characters; no names that fit are made of more, and it is remembered with them
_MAX_NAMESPACE = 255  # bytes of `<database>.<collection>`, MongoDB's limit
_NOT_IN_DATABASE = re.compile(r'[/\\. "$*<>:|?\x00]')
_NOT_IN_COLLECTION = re.compile(r"[$\x00]")
# In a part of a jid that is made here: what no database has, nor any line of a log, nor UTF-8.
_NOT_IN_JID_PART = re.compile(r'[/\\. "$*<>:|?\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


class Dataset(NamedTuple):
    """A database and a collection in it."""

    database: str
    collection: str

    def __str__(self) -> str:
        return f"{self.database}/{self.collection}"


class JidParts(NamedTuple):
    """The parts of a jid."""

    job: str
    spider: str
    project: str


def parse_jid(jid: Any) -> JidParts:
    """`<job>.<spider>.<project>`; raises BadName."""
    parts = jid.split(".") if isinstance(jid, str) and len(jid) <= _MAX_JID else []
    if len(parts) != 3 or not all(parts):
        raise BadName(f"jid {shown(jid)} is not <job>.<spider>.<project>")
    return JidParts(*parts)


def as_jid_part(name: str) -> str:
    """`name` as a part of a jid: an underscore for each character that a jid or a database cannot have."""
    return _NOT_IN_JID_PART.sub("_", name) or "_"


def stats_id(jid: Any) -> str:
    """The `_id` of a job's one document of STATS_TOPIC; raises BadName."""
    job = parse_jid(jid)
    return f"{job.spider}-{job.job}-{STATS_TOPIC}"


def dataset_of(topic: str, jid: Any, db_name: Any = None, dataset_name: Any = None) -> Dataset:
    """Where a payload belongs; raises BadName for names that MongoDB does not take.

    `db_name` and `dataset_name` win over the names made of `jid`, which is not looked at if both are given.
    """
    if db_name and dataset_name:
        return _checked(db_name, dataset_name)
    job = parse_jid(jid)
    own = STATS_TOPIC if topic == STATS_TOPIC else f"{job.spider}-{job.job}-{topic}"
    return _checked(db_name or job.project, dataset_name or own)


def _checked(database: Any, collection: Any) -> Dataset:
    for kind, name in (("database", database), ("collection", collection)):
        if not isinstance(name, str):
            raise BadName(f"the {kind} name {shown(name)} is not a string")
    try:
        database_size, collection_size = len(database.encode()), len(collection.encode())
    except UnicodeEncodeError as error:
        raise BadName(f"a name is not UTF-8: {error}") from error
    if bad := _NOT_IN_DATABASE.search(database):
        raise BadName(f"the database name {shown(database)} contains {bad[0]!r}")
    if database.lower() in SERVER_DATABASES:
        raise BadName(f"the database {database} belongs to the server")
    if database_size > _MAX_DATABASE:
        raise BadName(f"the database name {shown(database)} is over {_MAX_DATABASE} bytes")
    if bad := _NOT_IN_COLLECTION.search(collection):
        raise BadName(f"the collection name {shown(collection)} contains {bad[0]!r}")
    if collection.startswith(("system.", ".")) or collection.endswith(".") or ".." in collection:
        raise BadName(f"the collection name {shown(collection)} is not a user's")
    if database_size + 1 + collection_size > _MAX_NAMESPACE:
        raise BadName(f"the name {shown(database + '.' + collection)} is over {_MAX_NAMESPACE} bytes")
    return Dataset(database, collection)


def shown(value: Any) -> str:
    """The value for people, cut short."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
