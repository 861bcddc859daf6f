"""The collection of a tracked dataset's changes: what the documents say, written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import bson
from pymongo import ReplaceOne
from pymongo.collection import Collection

from estela_consumer.errors import BadMessage, StoreUnreachable
from estela_consumer.keyed.plans import Changes
from estela_consumer.stores.mongodb.bulk import Taken, insert_all, write_all
from estela_consumer.stores.mongodb.clustering import ClusteredCollections
from estela_consumer.stores.mongodb.encoded import Encoded
from estela_wire.dataset import Dataset


class ChangesCollection:
    """A change replaces one that was written at a lower revision of its document; nothing is removed.

    So whoever writes late, or again, changes nothing.
    """

    def __init__(
        self,
        collection: Callable[[Dataset], Collection[Any]],
        clustered: ClusteredCollections,
        dataset: Dataset,
    ) -> None:
        self._collection = collection(dataset)
        self._clustered = clustered
        self._dataset = dataset

    def write(self, changes: Mapping[bytes, Changes]) -> dict[bytes, BadMessage | StoreUnreachable]:
        """Write those of several documents; what was refused, by the document's `_id`.

        Raises the driver's errors.
        """
        owners = [owner for owner, of_one in changes.items() for _ in of_one]
        wanted = [change for of_one in changes.values() for change in of_one.values()]
        if not wanted:
            return {}
        encoded = [bson.encode(change) for change in wanted]
        refusal = self._clustered.prepare(self._dataset)
        failures = insert_all(self._collection, encoded)
        there = [index for index, failure in failures.items() if isinstance(failure, Taken)]
        if there:
            replaced, _ = write_all(
                self._collection, [_replacement(wanted[index], encoded[index]) for index in there]
            )
            for at, index in enumerate(there):
                del failures[index]
                if at in replaced:
                    failures[index] = replaced[at]
        if len(failures) < len(wanted):
            self._clustered.written(self._dataset, refusal)
        return {
            owners[index]: failure for index, failure in failures.items() if not isinstance(failure, Taken)
        }


def _replacement(change: Mapping[str, Any], encoded: bytes) -> ReplaceOne[Any]:
    older = {"_id": change["_id"], "document": change["document"], "revision": {"$lt": change["revision"]}}
    return ReplaceOne(older, Encoded(encoded))
