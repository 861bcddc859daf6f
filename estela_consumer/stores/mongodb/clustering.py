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
from pymongo.errors import OperationFailure, PyMongoError

from estela_consumer.stores.mongodb.rules import BAD_DATASET, CANNOT_CLUSTER, is_transient
from estela_wire.dataset import Dataset

CLUSTERED_ON_ID = {"key": {"_id": 1}, "unique": True}

_NAMESPACE_EXISTS = 48
_UNAUTHORIZED = 13
_REMEMBERED = 2048  # datasets; one that is forgotten costs a command when it is written to again
_PATIENCE = 30.0  # seconds for which a `create` that fails with an unknown error is tried again
_IN_VAIN_REMEMBERED = 600.0  # seconds for which no other collection waits for the same error
_MAX_CODES = 100
_CLUSTERED_SINCE = [5, 3]  # MongoDB's version
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
        self._lock = threading.Lock()  # guards all that is remembered
        self._failing: dict[int, float] = {}  # unknown codes of `create`, and since when
        self._warned_of: set[int] = set()  # codes

    def prepare(
        self, dataset: Dataset, on_found: Callable[[Dataset], None] | None = None
    ) -> OperationFailure | None:
        """Make the collection unless it is known to be there; the server's refusal if it will not. Blocks.

        `on_found` is called if it may have been there already, with whatever in it, and was not written to
        within the last minute.

        Raises the driver's errors if waiting mends them, or may: for half a minute if the error is unknown.
        After a refusal the insert makes the collection, or says why it cannot be made.
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
            if (
                error.code != _NAMESPACE_EXISTS
                and error.code not in CANNOT_CLUSTER
                and error.code not in BAD_DATASET
            ):
                self._check_patience(error)
            if on_found is not None:
                on_found(dataset)
            return None if error.code == _NAMESPACE_EXISTS else error
        if self._failing:
            with self._lock:
                self._failing.clear()  # whatever it was has passed
        return None

    def _check_patience(self, error: OperationFailure) -> None:
        """Raise it while it has not been waited for long enough, whichever collection met it first."""
        now, code = self._clock(), error.code or 0
        with self._lock:
            since = self._failing.get(code)
            if since is None or now - since > _IN_VAIN_REMEMBERED:
                since = self._failing[code] = now
            if len(self._failing) > _MAX_CODES:
                del self._failing[next(iter(self._failing))]
        if now - since < _PATIENCE:
            raise error

    def written(self, dataset: Dataset, refusal: OperationFailure | None) -> None:
        """A write has succeeded, so the collection is there. Warns of the first refusal with each code."""
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
        code = refusal.code or 0
        with self._lock:
            if code in self._warned_of or len(self._warned_of) >= _MAX_CODES:
                return
            self._warned_of.add(code)
        logger.warning(
            "MongoDB does not create %s clustered on _id (code %s: %s). It is a plain collection now, as is "
            "each that is refused so later, and estela's downloads of it may miss documents.%s",
            dataset,
            refusal.code,
            (refusal.details or {}).get("errmsg", refusal),
            self._advice(code),
        )

    def _advice(self, code: int) -> str:
        if code == _UNAUTHORIZED:
            return " Give the login the permission to insert or createCollection there."
        try:
            version: list[int] = self._client.server_info()["versionArray"]
        except (PyMongoError, KeyError):  # it may not tell, and the line is said all the same
            return ""
        if version[:2] >= _CLUSTERED_SINCE:
            return ""
        number = ".".join(map(str, version[:2]))
        return f" Clustered collections need MongoDB 5.3 or later, and this is {number}."
