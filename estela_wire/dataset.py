"""Datasets: which database and collection a payload belongs to, and what these may be called."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from estela_queue_adapter.errors import BadName
from estela_wire.jid import parse_jid
from estela_wire.shown import shown
from estela_wire.topics import STATS_TOPIC

SERVER_DATABASES = frozenset({"admin", "config", "local"})

_MAX_DATABASE = 63  # bytes, MongoDB's limit
_MAX_NAMESPACE = 255  # bytes of `<database>.<collection>`, MongoDB's limit
_NOT_IN_DATABASE = re.compile(r'[/\\. "$*<>:|?\x00]')
_NOT_IN_COLLECTION = re.compile(r"[$\x00]")


class Dataset(NamedTuple):
    """A database and a collection in it."""

    database: str
    collection: str

    def __str__(self) -> str:
        return f"{self.database}/{self.collection}"


def dataset_of(topic: str, jid: Any, db_name: Any = None, dataset_name: Any = None) -> Dataset:
    """Where a payload belongs; raises BadName for names that MongoDB does not take.

    `db_name` and `dataset_name` win over the names made of `jid`, which is not looked at if both are given.
    """
    if db_name and dataset_name:
        return check_dataset(db_name, dataset_name)
    job = parse_jid(jid)
    own = STATS_TOPIC if topic == STATS_TOPIC else f"{job.spider}-{job.job}-{topic}"
    return check_dataset(db_name or job.project, dataset_name or own)


def stats_id(jid: Any) -> str:
    """The `_id` of a job's one document of STATS_TOPIC; raises BadName."""
    job = parse_jid(jid)
    return f"{job.spider}-{job.job}-{STATS_TOPIC}"


def check_dataset(database: Any, collection: Any) -> Dataset:
    """The dataset of these names. Raises BadName for what MongoDB does not take."""
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
