"""Collections that are made clustered on `_id`, so that their natural order is the order of their ids.

estela's readers take the first page of a download in natural order and the next by `_id > last`. Ids that are
made from messages do not ascend with the insertions, so in any other collection the two orders disagree.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pymongo import MongoClient, WriteConcern
from pymongo.errors import OperationFailure

from estela_consumer.stores.mongodb.rules import is_transient
from estela_wire.dataset import Dataset

CLUSTERED_ON_ID = {"key": {"_id": 1}, "unique": True}

_NAMESPACE_EXISTS = 48
_REMEMBERED = 2048  # datasets; one that is forgotten costs a command when it is written to again
_IDLE = 60.0  # seconds without a write after which a collection may have been dropped without our knowledge

logger = logging.getLogger(__name__)


class ClusteredCollections:
    """Makes each collection before its first insert would. Safe to share among threads.

    A collection that exists, whatever its kind, is left as it is. Nothing is asked of the server for a
    dataset that was written to within the last minute.
    """

    def __init__(
        self,
        client: MongoClient[Any],
        write_concern: WriteConcern,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._write_concern = write_concern  # or a failover could undo it, and an insert make a plain one
        self._clock = clock
        self._written: OrderedDict[Dataset, float] = OrderedDict()  # when last, the oldest first
        self._lock = threading.Lock()  # guards `_written` and `_has_warned`
        self._has_warned = False

    def prepare(self, dataset: Dataset) -> OperationFailure | None:
        """Make the collection unless it is known to be there; the server's refusal if it will not. Blocks.

        Raises the driver's errors if they pass by themselves. After a refusal the insert makes the
        collection, or says why it cannot be made.
        """
        with self._lock:
            written = self._written.get(dataset)
        if written is not None and self._clock() - written < _IDLE:
            return None
        try:
            self._client[dataset.database].create_collection(
                dataset.collection,
                check_exists=False,
                clusteredIndex=CLUSTERED_ON_ID,
                write_concern=self._write_concern,
            )
        except OperationFailure as error:
            if is_transient(error, error.code):
                raise
            return None if error.code == _NAMESPACE_EXISTS else error
        return None

    def written(self, dataset: Dataset, refusal: OperationFailure | None) -> None:
        """A write has succeeded, so the collection is there. Warns of the first refusal."""
        with self._lock:
            self._written[dataset] = self._clock()
            self._written.move_to_end(dataset)
            if len(self._written) > _REMEMBERED:
                self._written.popitem(last=False)
        if refusal is not None:
            self._warn(dataset, refusal)

    def forget(self, dataset: Dataset) -> None:
        """A write has failed: the collection may have been dropped, or never made."""
        with self._lock:
            self._written.pop(dataset, None)

    def _warn(self, dataset: Dataset, refusal: OperationFailure) -> None:
        with self._lock:
            is_first, self._has_warned = not self._has_warned, True
        if is_first:
            logger.warning(
                "MongoDB does not create %s clustered on _id (code %s: %s). It is created as a plain "
                "collection, like others after it, and estela's downloads of these may miss documents. For "
                "clustered ones use MongoDB 5.3 or later, and give the login the permission to insert or "
                "createCollection.",
                dataset,
                refusal.code,
                (refusal.details or {}).get("errmsg", refusal),
            )
