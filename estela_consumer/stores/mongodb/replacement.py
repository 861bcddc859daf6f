"""A collection of MongoDB that takes the place of another one.

Others' writes are refused meanwhile by a validation rule that no document meets. The server holds to it by
itself, so nobody writes into the old collection between the copy and the swap; and it outlives whoever has
set it, so that consumers wait, and lose nothing, until an interrupted replacement is run again or cancelled.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from estela_consumer.adoption import AdoptionFailed, Replacement
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, StoreUnreachable, UsageError
from estela_consumer.stores.interface import Outcome, Store
from estela_consumer.stores.mongodb.rules import is_transient
from estela_queue_adapter import Message
from estela_queue_adapter.errors import BadName
from estela_wire.dataset import Dataset, dataset_of

_TITLE = "estela-data adopt"
_MAJORITY = WriteConcern("majority", wtimeout=30_000)  # milliseconds
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_NO_MESSAGE = Message("", 0, 0, 0.0, None, None, ())
# An older server does not say which rule has refused a document: a consumer would not know to wait.
_OLDEST = (5, 0)
# What a collection may have: they say nothing of its documents.
_OPTIONS = frozenset({"validator", "validationLevel", "validationAction", "clusteredIndex"})


def is_held(write_error: Mapping[str, Any]) -> bool:
    """Whether a document was refused only because its collection is being replaced."""
    details = (write_error.get("errInfo") or {}).get("details") or {}
    return bool(details.get("title") == _TITLE)


def held(dataset: Dataset) -> StoreUnreachable:
    """Why nothing can be written now to a dataset that is being replaced."""
    return StoreUnreachable(
        f"nothing can be written to {dataset} until `estela-data adopt` has replaced it; if that "
        "was interrupted, run it again, or with --cancel"
    )


class MongoReplacement(Replacement):
    """See the module. The new one is called `adopting-<hash of the old one's name>-<run>` until the swap."""

    def __init__(
        self,
        client: MongoClient[Any],
        store: Store,
        dataset: Dataset,
        unreachable: Callable[[PyMongoError], StoreUnreachable],
    ) -> None:
        """Raises UsageError for what is not there, or is not a plain collection, and StoreUnreachable."""
        try:
            dataset_of("", None, *dataset)
        except BadName as error:
            raise UsageError(f"there is no dataset {dataset}: {error}") from error
        self._store = store
        self._unreachable = unreachable
        self._dataset = dataset
        self._run = uuid.uuid4().hex[:12]
        self._prefix = f"adopting-{hashlib.sha256(dataset.collection.encode()).hexdigest()[:12]}-"
        self._new = Dataset(dataset.database, self._prefix + self._run)
        with self._errors("listCollections"):
            # From the primary, whatever the URL prefers: another member may lack the newest documents.
            self._db = client.get_database(
                dataset.database, write_concern=_MAJORITY, read_preference=ReadPreference.PRIMARY
            )
            self._old: Collection[RawBSONDocument] = self._db.get_collection(
                dataset.collection, codec_options=_RAW, read_concern=ReadConcern("majority")
            )
            if tuple(client.server_info()["versionArray"][:2]) < _OLDEST:
                raise UsageError(f"adopt needs MongoDB {_OLDEST[0]}.{_OLDEST[1]} or later")
            self._check()
            self.estimated_count = self._old.estimated_document_count()
        self.clustered = "clusteredIndex" in self._options(dataset)

    def documents(self) -> Iterator[bytes]:
        with self._errors("find"):
            for document in self._old.find():
                yield bytes(document.raw)

    def hold(self) -> None:
        rule = {"title": _TITLE, "description": self._run, "not": {}}
        with self._errors("collMod"):
            self._modify({"$jsonSchema": rule})
        with self._errors("drop"):
            for name in self._leftovers():
                self._db.drop_collection(name)  # of a run that was interrupted

    def add(self, documents: Sequence[bytes]) -> int:
        verdicts = self._store.write(
            self._new, [Document(self._new, document, _NO_MESSAGE) for document in documents]
        )
        for verdict in verdicts:
            if isinstance(verdict, BadMessage):
                raise AdoptionFailed(f"a document of {self._dataset} cannot be written: {verdict}")
            if isinstance(verdict, StoreUnreachable):
                raise verdict
            if verdict is Outcome.RETRY:
                raise StoreUnreachable(f"a document of {self._dataset} could not be written yet")
        return verdicts.count(Outcome.PRESENT)

    def swap(self, documents: int) -> None:
        with self._errors("renameCollection"):
            found = self._db[self._new.collection].count_documents({})
        with self._errors("createIndexes"):
            self._copy_indexes()  # only now: one that expires documents would change their number
        with self._errors("renameCollection"):
            if found != documents or not self._is_ours(self._options(self._dataset)):
                raise AdoptionFailed(
                    f"another adoption of {self._dataset} runs at the same time, or this one was cancelled; "
                    "run it again, alone"
                )
            clustered = "clusteredIndex" in self._options(self._new)
            self._db[self._new.collection].rename(self._dataset.collection, dropTarget=True)
            self.clustered = clustered

    def release(self) -> None:
        try:
            with self._errors("drop"):
                if self._is_ours(self._options(self._dataset)):
                    self._modify({})
                if self._description(self._new):
                    self._db.drop_collection(self._new.collection)
        except StoreUnreachable as error:
            raise StoreUnreachable(
                f"{error}. Consumers may have to wait for {self._dataset} until `estela-data adopt` is run "
                "again, or with --cancel"
            ) from error

    def cancel(self) -> bool:
        with self._errors("collMod or drop"):
            held, leftovers = self._is_hold(self._options(self._dataset)), self._leftovers()
            if held:
                self._modify({})
            for name in leftovers:
                self._db.drop_collection(name)
        return held or bool(leftovers)

    def _check(self) -> None:
        found = self._description(self._dataset)
        if not found:
            raise UsageError(f"there is no dataset {self._dataset}; `estela-data list` shows what there is")
        options = found["options"]
        others = sorted(set(options) - _OPTIONS)
        if options.get("validator") and not self._is_hold(options):
            others.append("validator")
        if found["type"] != "collection":
            others.insert(0, found["type"])
        elif self._db.command("collStats", self._dataset.collection).get("sharded"):
            others.append("sharded")
        if others:
            raise UsageError(
                f"{self._dataset} is not a plain collection ({', '.join(others)}); estela writes plain ones"
            )

    def _copy_indexes(self) -> None:
        indexes = [
            {key: value for key, value in index.items() if key != "ns"}
            for index in self._old.with_options(CodecOptions()).list_indexes()
            if list(index["key"]) != ["_id"]
        ]
        if indexes:
            self._db.command("createIndexes", self._new.collection, indexes=indexes)

    def _description(self, dataset: Dataset) -> Mapping[str, Any]:
        return next(iter(self._db.list_collections(filter={"name": dataset.collection})), {})

    def _options(self, dataset: Dataset) -> Mapping[str, Any]:
        return dict(self._description(dataset).get("options", {}))

    def _leftovers(self) -> list[str]:
        return self._db.list_collection_names(filter={"name": {"$regex": f"^{self._prefix}"}})

    def _is_hold(self, options: Mapping[str, Any]) -> bool:
        return bool(_rule(options).get("title") == _TITLE)

    def _is_ours(self, options: Mapping[str, Any]) -> bool:
        return self._is_hold(options) and _rule(options).get("description") == self._run

    def _modify(self, validator: Mapping[str, Any]) -> None:
        answer = self._db.command(
            "collMod",
            self._dataset.collection,
            validator=validator,
            validationLevel="strict",
            validationAction="error",
            writeConcern=_MAJORITY.document,
        )
        if failed := answer.get("writeConcernError"):  # then a document written before may not be seen yet
            raise StoreUnreachable(f"{self._store.describe()} cannot take it now: {failed.get('errmsg')}")

    @contextlib.contextmanager
    def _errors(self, command: str) -> Iterator[None]:
        try:
            yield
        except OperationFailure as error:
            if is_transient(error, error.code):
                raise self._unreachable(error) from error
            answer = (error.details or {}).get("errmsg", error)
            raise UsageError(
                f"{self._store.describe()} refuses {command} on {self._dataset} (code {error.code}): "
                f"{answer}. adopt needs the roles readWrite and dbAdmin on the database "
                f"{self._dataset.database}"
            ) from error
        except PyMongoError as error:
            raise self._unreachable(error) from error


def _rule(options: Mapping[str, Any]) -> Mapping[str, Any]:
    validator = options.get("validator") or {}
    rule = validator.get("$jsonSchema")
    return rule if isinstance(rule, Mapping) else {}
