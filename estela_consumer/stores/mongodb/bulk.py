"""Bulk writes of which each operation gets its own outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, OperationFailure

from estela_consumer.errors import BadMessage, StoreUnreachable
from estela_consumer.stores.mongodb.encoded import Encoded, insert
from estela_consumer.stores.mongodb.outages import plain_text
from estela_consumer.stores.mongodb.replacement import held, is_held
from estela_consumer.stores.mongodb.rules import (
    BAD_DOCUMENT,
    DUPLICATE_KEY,
    duplicate,
    is_of_id,
    is_transient,
    verdict,
)
from estela_wire.dataset import Dataset

Operation: TypeAlias = "InsertOne[Any] | ReplaceOne[Any] | UpdateOne | DeleteOne"


class Taken(Exception):
    """A document with this `_id` is there."""


Failure: TypeAlias = "BadMessage | StoreUnreachable | Taken"
"""What became of an operation that has failed: refused, not now, or its `_id` is taken."""


def write_all(collection: Collection[Any], operations: Sequence[Operation]) -> tuple[dict[int, Failure], int]:
    """Do all, in any order; the failures by index, and how many documents the others have found.

    An insertion finds none. Raises the driver's errors if nothing is known of any.
    """
    try:
        result = collection.bulk_write(list(operations), ordered=False)
        return {}, result.matched_count
    except BulkWriteError as error:
        return _failures(collection, error), int((error.details or {}).get("nMatched", 0))
    except OperationFailure as error:
        return _after_refusal(collection, operations, error)


def insert_all(collection: Collection[Any], documents: Sequence[bytes]) -> dict[int, Failure]:
    """Insert BSON documents, in any order; the failures by index. Raises the driver's errors as above."""
    try:
        insert(collection, documents)
    except BulkWriteError as error:
        return _failures(collection, error)
    except OperationFailure as error:
        return _after_refusal(collection, [InsertOne(Encoded(document)) for document in documents], error)[0]
    return {}


def _failures(collection: Collection[Any], error: BulkWriteError) -> dict[int, Failure]:
    details = error.details or {}
    if details.get("writeConcernErrors") or error.has_error_label("RetryableWriteError"):
        raise error  # written, perhaps, but not known to be on a majority
    failures: dict[int, Failure] = {}
    for write_error in details.get("writeErrors", ()):
        code, text = write_error.get("code"), str(write_error.get("errmsg"))
        if is_held(write_error):
            raise held(Dataset(collection.database.name, collection.name))
        if code == DUPLICATE_KEY:
            failures[write_error["index"]] = Taken() if is_of_id(write_error) else duplicate(write_error)
        elif is_transient(error, code):
            failures[write_error["index"]] = StoreUnreachable(f"code {code}: {text[:500]}")
        else:
            failures[write_error["index"]] = verdict(code, text)
    return failures


def _after_refusal(
    collection: Collection[Any], operations: Sequence[Operation], error: OperationFailure
) -> tuple[dict[int, Failure], int]:
    """The whole command was refused: for all of it, or for one document that the server cannot parse."""
    if is_transient(error, error.code):
        raise error
    alone = len(operations) == 1
    if alone or error.code not in BAD_DOCUMENT:
        refusal = verdict(error.code, plain_text(error), alone=alone)
        return dict.fromkeys(range(len(operations)), refusal), 0
    half = len(operations) // 2
    first, found_first = write_all(collection, operations[:half])
    second, found_second = write_all(collection, operations[half:])
    return {**first, **{half + index: failure for index, failure in second.items()}}, (
        found_first + found_second
    )
