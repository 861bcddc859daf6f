"""The MongoDB store."""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection as MongoCollection
from pymongo.errors import BulkWriteError, InvalidName, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from estela_consumer.decoding.document import Document, is_stored_as
from estela_consumer.decoding.metadata import SUBDOCUMENT
from estela_consumer.errors import BadMessage, StoreLoginRefused, StoreUnreachable, UsageError
from estela_consumer.keyed.kinds import Kind, mismatch
from estela_consumer.stores.interface import Outcome, Store, StoreAccess, Summary, Verdict
from estela_consumer.stores.mongodb.clustering import ClusteredCollections
from estela_consumer.stores.mongodb.encoded import insert
from estela_consumer.stores.mongodb.indexes import MongoIndexes
from estela_consumer.stores.mongodb.keyed import KeyedWrites
from estela_consumer.stores.mongodb.kinds import CollectionKinds
from estela_consumer.stores.mongodb.outages import met_by_servers, plain_text, reason
from estela_consumer.stores.mongodb.privileges import access_of
from estela_consumer.stores.mongodb.replacement import MongoReplacement, held, is_held
from estela_consumer.stores.mongodb.rules import (
    BAD_DATASET,
    BAD_DOCUMENT,
    DUPLICATE_KEY,
    duplicate,
    is_login_refused,
    is_of_id,
    is_transient,
    verdict,
)
from estela_consumer.stores.opening import StoreSettings
from estela_wire.dataset import SERVER_DATABASES, Dataset

# No call may hang for ever. Milliseconds; the URL wins if it says otherwise.
_TIMEOUTS = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "socketTimeoutMS": 60_000}
_MAJORITY = WriteConcern("majority", wtimeout=30_000)  # milliseconds
_FOUND_AT_ONCE = 1_000
_IDS_AT_ONCE = 10_000  # the server would send 16 MiB of them, which are ten times as much here

# Documents may hold dates that Python has no datetime for; others may have written text that is not UTF-8.
_RAW = CodecOptions(document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_WHATEVER_IS_THERE: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="backslashreplace"
)
_USERINFO = re.compile(r"//[^/@]*@")


class MongoStore(Store):
    """A MongoDB deployment; writes are acknowledged by a majority."""

    def __init__(self, settings: StoreSettings) -> None:
        self._hosts = re.split(r"[/?]", settings.url.partition("://")[2])[0].rpartition("@")[2]
        options: dict[str, Any] = {
            name: value for name, value in _TIMEOUTS.items() if f"{name}=".lower() not in settings.url.lower()
        }
        if settings.tls:
            options["tls"] = True
        self._ca_file = settings.tls_ca_file or _ca_file_of(settings.url)
        if settings.tls_ca_file:
            _check_certificates(settings.tls_ca_file)
            options["tlsCAFile"] = settings.tls_ca_file
        try:
            with warnings.catch_warnings():  # a value that is wrong is an error, not a warning
                warnings.simplefilter("error", UserWarning)
                warnings.filterwarnings("ignore", "Unknown option", UserWarning)  # other drivers' options
                self._client: MongoClient[Any] = MongoClient(
                    settings.url,
                    connect=False,
                    appname="estela-consume",
                    **options,
                )
        except Exception as error:  # noqa: BLE001  (pyOpenSSL has its own, and there are others)
            text = _USERINFO.sub("//", str(error))
            raise UsageError(f"the store's URL (--store, DB_CONNECTION) cannot be used: {text}") from None
        self._clustered = ClusteredCollections(self._client, _MAJORITY)
        self._kinds = CollectionKinds(self._client)
        self._keyed = KeyedWrites(self._collection, self._clustered, self._kinds)

    def describe(self) -> str:
        return f"MongoDB at {self._hosts}"

    def check(self) -> None:
        try:
            self._client.admin.command("ping")
        except PyMongoError as error:
            raise self._unreachable(error) from error

    def examine(self) -> StoreAccess:
        try:
            status = self._client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
            if not status["authenticatedUsers"]:
                self._client.list_database_names()  # refused if there are logins and we have none
                return StoreAccess()
        except PyMongoError as error:
            raise self._unreachable(error) from error
        return access_of(status)

    def write(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        try:
            if self._kinds.remembered(dataset) is not None:
                self._check_plain(dataset)
            refusal = self._clustered.prepare(dataset, self._check_plain)
            verdicts = self._insert(dataset, documents)
        except BadMessage as error:
            return [error] * len(documents)
        except PyMongoError as error:
            self._clustered.forget(dataset)
            raise self._unreachable(error) from error
        if Outcome.STORED in verdicts or Outcome.PRESENT in verdicts:
            self._clustered.written(dataset, refusal)
        else:
            self._clustered.forget(dataset)
        return verdicts

    def _check_plain(self, dataset: Dataset) -> None:
        """Raise BadMessage if the dataset is a keyed one."""
        try:
            kind = self._kinds.look(dataset)
        except OperationFailure as error:
            if _is_of_dataset(error):  # a login that may not look may still insert; if not, that says so
                return
            raise
        if kind is not None and kind.key is not None:
            raise mismatch(dataset, kind, Kind(None))

    def write_keyed(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        try:
            return self._keyed.write(dataset, documents)
        except PyMongoError as error:
            self._clustered.forget(dataset)
            self._kinds.forget(dataset)
            if isinstance(error, OperationFailure) and _is_of_dataset(error):
                return [verdict(error.code, plain_text(error), alone=False) for _ in documents]
            raise self._unreachable(error) from error

    def find(self, dataset: Dataset, identities: Collection[ObjectId]) -> Iterator[bytes]:
        wanted = list(identities)
        collection = self._collection(dataset).with_options(read_preference=ReadPreference.PRIMARY)
        try:
            for at in range(0, len(wanted), _FOUND_AT_ONCE):
                for document in collection.find({"_id": {"$in": wanted[at : at + _FOUND_AT_ONCE]}}):
                    yield bytes(document.raw)  # pymongo may give a view of its buffer
        except PyMongoError as error:
            raise self._unreachable(error) from error

    def datasets(self) -> Iterator[Summary]:
        try:
            for database in sorted(self._client.list_database_names()):
                if database not in SERVER_DATABASES:
                    for collection in sorted(self._client[database].list_collection_names()):
                        if not collection.startswith("system."):
                            count = self._client[database][collection].estimated_document_count()
                            yield Summary(Dataset(database, collection), count)
        except PyMongoError as error:
            raise self._unreachable(error) from error

    def read(
        self, dataset: Dataset, limit: int | None = None, origin: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        if limit == 0:
            return
        try:
            collection = self._client[dataset.database].get_collection(dataset.collection, _WHATEVER_IS_THERE)
            wanted = {f"{SUBDOCUMENT}.{name}": value for name, value in (origin or {}).items()}
            yield from collection.find(wanted).sort("_id", 1).limit(limit or 0)
        except InvalidName:
            return  # nothing can have this name
        except PyMongoError as error:
            raise self._unreachable(error) from error

    def ids(self, dataset: Dataset, first: ObjectId | str, last: ObjectId | str) -> Iterator[ObjectId | str]:
        collection: MongoCollection[Any] = self._collection(dataset).with_options(CodecOptions())
        try:
            # In many short answers rather than one that takes a minute. A plain collection has an index that
            # answers it; a clustered one is read itself, and nothing but ids is sent.
            found = collection.find(
                {"_id": {"$gte": first, "$lte": last}}, {"_id": 1}, batch_size=_IDS_AT_ONCE
            )
            for document in found.sort("_id", 1):
                yield document["_id"]
        except PyMongoError as error:
            raise self._unreachable(error) from error

    def replacement(self, dataset: Dataset) -> MongoReplacement:
        """How its collection can be replaced. Raises UsageError if it cannot, and StoreUnreachable."""
        return MongoReplacement(self._client, self, dataset, self._unreachable)

    def indexes(self, dataset: Dataset) -> MongoIndexes:
        """Those of its collection. Raises UsageError if there can be none of that name."""
        return MongoIndexes(self._client, dataset, self._unreachable)

    def close(self) -> None:
        self._client.close()

    def _collection(self, dataset: Dataset) -> MongoCollection[Any]:
        # Created each time: that takes 8 µs, and to keep one for each dataset takes a kilobyte.
        # Reading back with majority too: what a duplicate is compared with must not be rolled back either.
        return self._client[dataset.database].get_collection(
            dataset.collection,
            codec_options=_RAW,
            write_concern=_MAJORITY,
            read_concern=ReadConcern("majority"),
        )

    def _insert(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        try:
            insert(self._collection(dataset), [document.bson for document in documents])
        except BulkWriteError as error:
            return self._verdicts(dataset, documents, error)
        except OperationFailure as error:
            return self._after_refusal(dataset, documents, error)
        return [Outcome.STORED] * len(documents)

    def _verdicts(
        self, dataset: Dataset, documents: Sequence[Document], error: BulkWriteError
    ) -> list[Verdict]:
        """Map the errors of an unordered write back to its documents, each by its index."""
        details = error.details or {}
        if details.get("writeConcernErrors") or error.has_error_label("RetryableWriteError"):
            # Written, perhaps, but not known to be on a majority: the next try finds out.
            raise error
        verdicts: list[Verdict] = [Outcome.STORED] * len(documents)
        duplicates = {}
        for write_error in details.get("writeErrors", ()):
            index, code = write_error["index"], write_error.get("code")
            if is_held(write_error):
                raise held(dataset)
            if code == DUPLICATE_KEY:
                duplicates[index] = write_error
            elif is_transient(error, code):
                verdicts[index] = self._unreachable_for(code, str(write_error.get("errmsg")))
            else:
                verdicts[index] = verdict(code, str(write_error.get("errmsg")))
        if duplicates:
            stored = self._stored(dataset, [documents[index] for index in duplicates])
            for index, write_error in duplicates.items():
                verdicts[index] = _of_duplicate(documents[index], stored, write_error)
        return verdicts

    def _stored(self, dataset: Dataset, documents: Sequence[Document]) -> dict[Any, bytes]:
        # From the primary, whatever the URL prefers: another member may not have it yet.
        collection = self._collection(dataset).with_options(read_preference=ReadPreference.PRIMARY)
        found = collection.find({"_id": {"$in": [document.id for document in documents]}})
        return {document["_id"]: document.raw for document in found}

    def _after_refusal(
        self, dataset: Dataset, documents: Sequence[Document], error: OperationFailure
    ) -> list[Verdict]:
        """The whole command was refused: for all of it, or for one document that the server cannot parse.

        If the code may mean either, the caller finds out by writing each alone.
        """
        if is_transient(error, error.code):
            raise error
        if len(documents) == 1 or error.code not in BAD_DOCUMENT:
            alone = len(documents) == 1
            return [verdict(error.code, plain_text(error), alone=alone) for _ in documents]
        half = len(documents) // 2
        return self._insert(dataset, documents[:half]) + self._insert(dataset, documents[half:])

    def _unreachable_for(self, code: int | None, text: str) -> StoreUnreachable:
        return StoreUnreachable(f"{self.describe()} cannot take it now: code {code}: {text[:500]}")

    def _unreachable(self, error: PyMongoError) -> StoreUnreachable:
        refused = is_login_refused(error) or any(map(is_login_refused, met_by_servers(self._client, error)))
        why = reason(self._client, self._hosts, self._ca_file, error)
        kind = StoreLoginRefused if refused else StoreUnreachable
        return kind(f"{self.describe()}: {why}")


def _is_of_dataset(error: OperationFailure) -> bool:
    """Whether every document of the dataset is refused, for as long as nobody changes something."""
    return error.code in BAD_DATASET and not is_transient(error, error.code)


def _ca_file_of(url: str) -> str:
    found = re.search(r"[?&]tlsCAFile=([^&]*)", url, re.IGNORECASE)
    return unquote(found[1]) if found else ""


def _check_certificates(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise UsageError(f"--tls-ca-file (DB_CERTIFICATE_PATH) {path} cannot be used: {error}") from error


def _of_duplicate(document: Document, stored: dict[Any, bytes], write_error: dict[str, Any]) -> Verdict:
    content = stored.get(document.id)
    if content is not None:
        return Outcome.PRESENT if is_stored_as(content, document) else duplicate(write_error)
    if is_of_id(write_error):
        return Outcome.RETRY  # not on a majority yet, or deleted in between
    return duplicate(write_error)
