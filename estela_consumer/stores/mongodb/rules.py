"""What each error of a MongoDB server means for the message behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from estela_consumer.errors import BadMessage, Reason, UnknownRefusal

DUPLICATE_KEY = 11000
_OF_ID = re.compile(r" index: (\S+\$)?_id_ | dup key: \{ _id: ")

# Codes that pass by themselves, or once an operator has done something: nothing is wrong with the message.
WAIT = {
    6: "HostUnreachable",
    7: "HostNotFound",
    18: "AuthenticationFailed",
    24: "LockBusy",
    46: "LockTimeout",
    50: "MaxTimeMSExpired",
    63: "StaleShardVersion",
    64: "WriteConcernTimeout",
    70: "ShardNotFound",
    83: "RemoteResultsUnavailable",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    94: "NotYetInitialized",
    100: "UnsatisfiableWriteConcern",
    109: "ConfigurationInProgress",
    112: "WriteConflict",
    117: "ConflictingOperationInProgress",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    146: "ExceededMemoryLimit",
    150: "StaleEpoch",
    189: "PrimarySteppedDown",
    202: "NetworkInterfaceExceededTimeLimit",
    211: "KeyNotFound",
    215: "DatabaseDropPending",
    216: "LockFailed",
    262: "ExceededTimeLimit",
    264: "TooManyFilesOpen",
    290: "TransactionExceededLifetimeLimitSeconds",
    314: "ObjectIsBusy",
    355: "InterruptedDueToStorageChange",
    365: "TemporarilyUnavailable",
    391: "ReauthenticationRequired",
    462: "IngressRequestRateLimitExceeded",
    9001: "SocketException",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
    16500: "TooManyRequests",  # as Azure Cosmos DB says it
}
# Codes that say either, told apart by what the server writes.
WAIT_WHERE = {
    13: "requires authentication",  # Unauthorized, because nobody has logged in
    8000: "quota",  # AtlasError: the disk is full
}
WAIT_LABELS = ("RetryableWriteError", "TransientTransactionError", "SystemOverloadedError")

# Codes that say what is wrong with this one document. Any code that is in no table may pass by itself.
BAD_DOCUMENT = {
    2: Reason.REFUSED,  # BadValue: what a time series, say, cannot take
    9: Reason.REFUSED,  # FailedToParse
    14: Reason.REFUSED,  # TypeMismatch
    15: Reason.BAD_VALUE,  # Overflow: nested too deeply
    22: Reason.REFUSED,  # InvalidBSON
    52: Reason.REFUSED,  # DollarPrefixedFieldName
    56: Reason.REFUSED,  # EmptyFieldName
    57: Reason.REFUSED,  # DottedFieldName
    61: Reason.REFUSED,  # ShardKeyNotFound
    121: Reason.INVALID,  # DocumentValidationFailure
    171: Reason.REFUSED,  # CannotIndexParallelArrays
    201: Reason.REFUSED,  # CannotBuildIndexKeys
    10334: Reason.TOO_LARGE,  # BSONObjectTooLarge
    13026: Reason.REFUSED,  # no pair of coordinates, in an index of such
    13027: Reason.REFUSED,  # coordinates out of range
    13068: Reason.REFUSED,  # one coordinate alone
    16746: Reason.REFUSED,  # a key that is a number, in an array that an index looks into
    16755: Reason.REFUSED,  # no place on earth, in an index of such
    16766: Reason.REFUSED,  # an array, in a hashed index
    16804: Reason.REFUSED,  # an array of no coordinates
    17261: Reason.REFUSED,  # a language that is no text, in an index of texts
    17262: Reason.REFUSED,  # a language that is unknown, in an index of texts
    17280: Reason.TOO_LARGE,  # KeyTooLong
}
# Codes that every document for this dataset shares.
BAD_DATASET = {
    13: Reason.NOT_PERMITTED,  # Unauthorized
    73: Reason.BAD_NAME,  # InvalidNamespace
    166: Reason.REFUSED,  # CommandNotSupportedOnView
    13297: Reason.BAD_NAME,  # DatabaseDifferCase: one is there whose name differs in case alone
}
# Codes of `create` that say that no collection can be clustered here; an insert still can make a plain one.
CANNOT_CLUSTER = frozenset(
    {
        2,  # BadValue
        9,  # FailedToParse
        13,  # Unauthorized: createCollection is another permission than insert
        59,  # CommandNotFound
        67,  # CannotCreateIndex
        72,  # InvalidOptions
        115,  # CommandNotSupported
        197,  # InvalidIndexSpecificationOption
        238,  # NotImplemented
        303,  # as Amazon DocumentDB says it: feature not supported
        323,  # APIStrictError
        8000,  # AtlasError: not in this tier
        40415,  # an unknown field
    }
)


def is_transient(error: PyMongoError, code: int | None) -> bool:
    """Whether waiting mends what the server answered."""
    if code in WAIT or any(error.has_error_label(label) for label in WAIT_LABELS):
        return True
    return code in WAIT_WHERE and WAIT_WHERE[code] in str(error)


def is_login_refused(error: PyMongoError) -> bool:
    """Whether the server knows us by no login that it accepts, which waiting alone does not change."""
    if not isinstance(error, OperationFailure):
        return False
    if error.code == 13:
        return WAIT_WHERE[13] in str(error)
    return error.code == 18 or (error.code == 8000 and WAIT_WHERE[8000] not in str(error))


def verdict(code: int | None, text: str, *, alone: bool = True) -> BadMessage:
    """What it means for a document that the server refuses it with this code.

    `alone` is whether it is said of this one document, or of all that one command carried.
    """
    code = code or 0
    told = f"MongoDB refuses the document (code {code}): {text[:500]}"
    reason = BAD_DOCUMENT.get(code) or BAD_DATASET.get(code)
    return BadMessage(reason, told) if reason else UnknownRefusal(told, code, alone=alone)


def is_of_id(write_error: Mapping[str, Any]) -> bool:
    """Whether a duplicate is one of `_id`; servers that do not name the index's keys say it in words."""
    keys = write_error.get("keyPattern")
    if keys is not None:
        return list(keys) == ["_id"]
    return _OF_ID.search(str(write_error.get("errmsg"))) is not None


def duplicate(write_error: Mapping[str, Any]) -> BadMessage:
    """The dead letter for a document that meets another one in a unique index."""
    if is_of_id(write_error):
        return BadMessage(Reason.DUPLICATE_ID, "another document with another content has this _id")
    return BadMessage(
        Reason.DUPLICATE_KEY, f"a unique index refuses it: {str(write_error.get('errmsg'))[:500]}"
    )
