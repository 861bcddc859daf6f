"""The indexes of a collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.errors import InvalidName, OperationFailure, PyMongoError

from estela_consumer.errors import StoreUnreachable, UsageError
from estela_consumer.stores.indexes import Index, Indexes
from estela_consumer.stores.mongodb.outages import plain_text
from estela_consumer.stores.mongodb.rules import is_transient
from estela_wire.dataset import Dataset

_LONGEST = 24 * 3600.0  # seconds that a large collection may take; others' writes do not wait for it
_KEY = "_estela.key"


class MongoIndexes(Indexes):
    """Those of one collection."""

    def __init__(
        self,
        client: MongoClient[Any],
        dataset: Dataset,
        unreachable: Callable[[PyMongoError], StoreUnreachable],
    ) -> None:
        """`unreachable` makes an error of the driver's one of the store's."""
        self._dataset = dataset
        self._unreachable = unreachable
        try:
            self._collection = client[dataset.database][dataset.collection]
        except InvalidName as error:
            raise UsageError(f"no dataset can be called {dataset}: {error}") from error

    @property
    def dataset(self) -> Dataset:
        return self._dataset

    def __iter__(self) -> Iterator[Index]:
        for found in self._asked(lambda: self._collection.list_indexes().to_list()):
            expire_after = found.get("expireAfterSeconds")
            yield Index(
                tuple(found["key"].items()),
                bool(found.get("unique")),
                None if expire_after is None else int(expire_after),
                found["name"],
            )

    def create(self, index: Index) -> None:
        options: dict[str, Any] = {"unique": True} if index.unique else {}
        if index.expire_after is not None:
            options["expireAfterSeconds"] = index.expire_after
        self._asked(lambda: self._collection.create_index(list(index.fields), **options))

    def drop(self, name: str) -> None:
        self._asked(lambda: self._collection.drop_index(name))

    def key(self) -> tuple[str, ...]:
        found = self._asked(lambda: self._collection.find_one({_KEY: {"$exists": True}}, {_KEY: 1}))
        names = found["_estela"]["key"] if found else ()
        return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()

    def holds(self, path: str, kind: str) -> bool:
        found = self._asked(lambda: self._collection.find_one({path: {"$type": kind}}, {"_id": 1}))
        return found is not None

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """What the server answers; raises UsageError if it refuses for good, and StoreUnreachable."""
        try:
            with pymongo.timeout(_LONGEST):
                return ask()
        except OperationFailure as error:
            if is_transient(error, error.code):
                raise self._unreachable(error) from error
            raise UsageError(f"MongoDB refuses: {plain_text(error)}") from error
        except PyMongoError as error:
            raise self._unreachable(error) from error
