"""The collection of a tracked dataset's changes: what the documents say, written out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import bson
from bson.objectid import ObjectId
from pymongo import DeleteOne, ReadPreference, ReplaceOne
from pymongo.collection import Collection

from estela_consumer.errors import BadMessage, StoreUnreachable
from estela_consumer.keyed.plans import ChangeWrites
from estela_consumer.stores.mongodb.bulk import Operation, Taken, write_all
from estela_consumer.stores.mongodb.clustering import ClusteredCollections
from estela_consumer.stores.mongodb.encoded import Encoded
from estela_wire.dataset import Dataset

_IDS_AT_ONCE = 10_000


class ChangesCollection:
    """Each change has the id of the version that it is. Writing one again changes nothing."""

    def __init__(
        self,
        collection: Callable[[Dataset], Collection[Any]],
        clustered: ClusteredCollections,
        dataset: Dataset,
    ) -> None:
        self._collection = collection(dataset)
        self._clustered = clustered
        self._dataset = dataset

    def write(self, writes: Mapping[bytes, ChangeWrites]) -> dict[bytes, BadMessage | StoreUnreachable]:
        """Write those of several documents; what was refused, by the document's `_id`.

        Raises the driver's errors.
        """
        operations: list[Operation] = []
        owners: list[bytes] = []
        for owner, of_one in writes.items():
            for identity, change in of_one.put.items():
                operations.append(
                    ReplaceOne({"_id": ObjectId(identity)}, Encoded(bson.encode(change)), upsert=True)
                )
                owners.append(owner)
            for identity in of_one.removed:
                operations.append(DeleteOne({"_id": ObjectId(identity), "document": ObjectId(owner)}))
                owners.append(owner)
        if not operations:
            return {}
        refusal = self._clustered.prepare(self._dataset)
        failures, _ = write_all(self._collection, operations)
        if len(failures) < len(operations):
            self._clustered.written(self._dataset, refusal)
        return {
            owners[index]: StoreUnreachable("another writer writes the same change")
            if isinstance(failure, Taken)
            else failure
            for index, failure in failures.items()
        }

    def wrong(self, expected: Mapping[bytes, ChangeWrites]) -> dict[bytes, ChangeWrites]:
        """What of that is not so, by the document's `_id`. Raises the driver's errors."""
        ids = [identity for of_one in expected.values() for identity in (*of_one.put, *of_one.removed)]
        found = self._found(ids)
        wrong: dict[bytes, ChangeWrites] = {}
        for owner, of_one in expected.items():
            differing = ChangeWrites(
                {
                    identity: change
                    for identity, change in of_one.put.items()
                    if found.get(identity) != bson.encode(change)
                },
                {identity for identity in of_one.removed if identity in found},
            )
            if differing:
                wrong[owner] = differing
        return wrong

    def _found(self, ids: Iterable[bytes]) -> dict[bytes, bytes]:
        collection = self._collection.with_options(read_preference=ReadPreference.PRIMARY)
        wanted = [ObjectId(identity) for identity in ids]
        found = (
            bytes(document.raw)
            for at in range(0, len(wanted), _IDS_AT_ONCE)
            for document in collection.find({"_id": {"$in": wanted[at : at + _IDS_AT_ONCE]}})
        )
        return {raw[9:21]: raw for raw in found}
