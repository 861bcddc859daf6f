"""Writes of documents with a key.

Each write is an insertion, or a replacement on the condition that the document has still the revision that
was read. So of two writers that meet at one document, one writes and the other reads again. All documents of
a chunk go through each step together: no step is taken document by document.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from pymongo.collection import Collection

from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage
from estela_consumer.keyed.kinds import Kind, mismatch
from estela_consumer.keyed.stored import version_of
from estela_consumer.stores.interface import Outcome, Verdict
from estela_consumer.stores.mongodb.changes import ChangesCollection
from estela_consumer.stores.mongodb.clustering import ClusteredCollections
from estela_consumer.stores.mongodb.keyed_chunk import ChunkCollections, KeyedChunk
from estela_consumer.stores.mongodb.kinds import CollectionKinds
from estela_wire.dataset import Dataset
from estela_wire.keys import CHANGES_SUFFIX, OnExisting

_MOSTLY = 0.3  # of a chunk's keys; if so many are there, the next chunk is looked up before it is written
_MAX_REMEMBERED = 2_048  # datasets of which it is known whether most keys are there

logger = logging.getLogger(__name__)


class KeyedWrites:
    """The keyed writes of one store. Safe to share among threads."""

    def __init__(
        self,
        collection: Callable[[Dataset], Collection[Any]],
        clustered: ClusteredCollections,
        kinds: CollectionKinds,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._collection = collection
        self._clustered = clustered
        self._kinds = kinds
        self._sleep = sleep
        self._looks_first: dict[Dataset, bool] = {}  # whether most of a dataset's keys were there lately

    def write(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        """As a store's `write_keyed`, but raises the driver's errors."""
        refusal = self._clustered.prepare(dataset)
        verdicts: dict[int, Verdict] = {}
        accepted = self._of_the_same_kind(dataset, documents, verdicts)
        for mode in OnExisting:
            if chosen := accepted.get(mode):
                verdicts.update(self._write_mode(dataset, mode, chosen))
        found = [verdicts[id(document)] for document in documents]
        if any(isinstance(verdict, Outcome) and verdict is not Outcome.RETRY for verdict in found):
            self._clustered.written(dataset, refusal)
        else:
            self._clustered.forget(dataset)
            self._kinds.forget(dataset)
        return found

    def _of_the_same_kind(
        self, dataset: Dataset, documents: Sequence[Document], verdicts: dict[int, Verdict]
    ) -> dict[OnExisting, list[Document]]:
        """Those with the key that the dataset has. If it has none yet, the first document gives it one."""
        kind = self._kinds.remembered(dataset) or self._kinds.look(dataset)
        if kind is None:
            kind = Kind(version_of(documents[0]).key)
            self._kinds.remember(dataset, kind)
        accepted: dict[OnExisting, list[Document]] = {}
        wanted = kind.key
        for document in documents:
            version = version_of(document)
            if version.key != wanted:
                verdicts[id(document)] = mismatch(dataset, kind, Kind(version.key))
            else:
                accepted.setdefault(version.on_existing, []).append(document)
        if verdicts:
            first = next(verdict for verdict in verdicts.values() if isinstance(verdict, BadMessage))
            logger.error("%d message(s) become dead letters: %s", len(verdicts), first)
        return accepted

    def _write_mode(
        self, dataset: Dataset, mode: OnExisting, documents: Sequence[Document]
    ) -> dict[int, Verdict]:
        collection = self._collection(dataset)
        beside = Dataset(dataset.database, dataset.collection + CHANGES_SUFFIX)  # looked at only by TRACK
        changes = ChangesCollection(self._collection, self._clustered, beside)
        chunk = KeyedChunk(ChunkCollections(dataset, collection, changes), mode, documents, self._sleep)
        verdicts = chunk.write(look_first=self._looks_first.get(dataset, False))
        if len(self._looks_first) >= _MAX_REMEMBERED:
            self._looks_first.clear()
        self._looks_first[dataset] = chunk.share_found >= _MOSTLY
        return verdicts
