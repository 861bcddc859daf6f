"""What kind of documents a collection holds: with which key, or without one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import MongoClient, ReadPreference

from estela_consumer.decoding.metadata import SUBDOCUMENT
from estela_consumer.keyed.kinds import Kind, kind_of
from estela_wire.dataset import Dataset

_REMEMBERED_SECONDS = 60.0  # as somebody may drop or replace a collection
_MAX_REMEMBERED = 2_048
_PROJECTION = {f"{SUBDOCUMENT}.id": 1, f"{SUBDOCUMENT}.key": 1}


class CollectionKinds:
    """Knows the kinds of collections by their first document. Safe to share among threads."""

    def __init__(self, client: MongoClient[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._keyed: dict[Dataset, tuple[Kind, float]] = {}  # and since when; each change is one of a dict's

    def remembered(self, dataset: Dataset) -> Kind | None:
        """The kind of a keyed collection that was looked at or written to within the last minute."""
        found = self._keyed.get(dataset)
        if found is None or self._clock() - found[1] >= _REMEMBERED_SECONDS:
            return None
        return found[0]

    def look(self, dataset: Dataset) -> Kind | None:
        """The kind that the collection has; None if it is empty, or not there. Raises the driver's errors."""
        # In natural order: one document is read, whatever the collection's size.
        collection = self._client[dataset.database].get_collection(
            dataset.collection, CodecOptions(), read_preference=ReadPreference.PRIMARY
        )
        document = collection.find_one({}, _PROJECTION)
        if document is None:
            return None
        kind = kind_of(document)
        if kind.key is not None:
            self.remember(dataset, kind)
        return kind

    def remember(self, dataset: Dataset, kind: Kind) -> None:
        """Note that the collection is keyed so."""
        if len(self._keyed) >= _MAX_REMEMBERED:
            self._keyed.clear()  # each is looked at again
        self._keyed[dataset] = (kind, self._clock())

    def forget(self, dataset: Dataset) -> None:
        """A write has failed: the collection may have been dropped."""
        self._keyed.pop(dataset, None)
