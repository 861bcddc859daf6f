"""Documents that are BSON already, and their insertion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    ServerSelectionTimeoutError,
)

_MAX_BYTES = 40_000_000  # of one message; a server takes 48,000,000
_MAX_DOCUMENTS = 100_000  # in one command, as servers say
# An error names the key that was refused, and may hold a date that Python has no datetime for.
_REPLIES: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)


class Encoded(RawBSONDocument):
    """A document on its way out, without the checks of bytes that may have come from anywhere."""

    __slots__ = ("raw",)

    def __init__(self, encoded: bytes) -> None:
        self.raw = encoded  # type: ignore[misc]  # pymongo has a property in its place

    def __bool__(self) -> bool:  # pymongo asks whether it is empty, which would decode it
        return True

    def __repr__(self) -> str:
        return f"<{len(self.raw)} bytes of BSON>"


def insert(collection: Collection[Any], documents: Sequence[bytes]) -> None:
    """Insert BSON documents, in any order. Blocks. Raises what pymongo's `insert_many` does.

    Most of what that takes are its checks of each document, so they are sent as one command. It is asked only
    if that ends with an error other than those of single documents, as it knows which to try once more. What
    the first try has written by then is refused as a duplicate.
    """
    encoded = [Encoded(document) for document in documents]
    if len(documents) <= _MAX_DOCUMENTS and sum(map(len, documents)) <= _MAX_BYTES:
        try:
            reply = collection.database.command(
                {
                    "insert": collection.name,
                    "ordered": False,
                    "writeConcern": collection.write_concern.document,
                    "documents": encoded,
                },
                codec_options=_REPLIES,
            )
        except ServerSelectionTimeoutError:  # nothing was sent, and to ask again is to wait as long again
            raise
        except (ConnectionFailure, OperationFailure):
            pass
        else:
            if "writeConcernError" not in reply:
                if reply.get("writeErrors"):
                    raise BulkWriteError({"writeErrors": reply["writeErrors"], "writeConcernErrors": []})
                return
    collection.insert_many(encoded, ordered=False)
