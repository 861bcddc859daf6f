"""From an envelope to the names of its database and collection; the rules are those of the crawl."""

from __future__ import annotations

import functools
from typing import Any

from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter.errors import BadName
from estela_wire import names
from estela_wire.names import SERVER_DATABASES, STATS_TOPIC, Dataset, shown

__all__ = ["SERVER_DATABASES", "STATS_TOPIC", "Dataset", "dataset_of", "shown", "stats_id"]


def stats_id(jid: Any) -> str:
    """As `names.stats_id`; raises BadMessage."""
    try:
        return names.stats_id(jid)
    except BadName as error:
        raise BadMessage(Reason.BAD_NAME, str(error)) from error


@functools.lru_cache(maxsize=2048)
def dataset_of(topic: str, jid: Any, db_name: Any, dataset_name: Any) -> Dataset:
    """As `names.dataset_of`; raises BadMessage."""
    try:
        return names.dataset_of(topic, jid, db_name, dataset_name)
    except BadName as error:
        raise BadMessage(Reason.BAD_NAME, str(error)) from error
