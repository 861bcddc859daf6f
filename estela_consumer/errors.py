"""What can go wrong on the way into the store, and the exit codes that say so."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What `estela-consume` ends with; the names are in `--help` and the README."""

    OK = 0  # all stored
    FAILED = 1  # a fault that is none of the below
    USAGE = 2  # wrong arguments or settings
    DEAD_LETTERS = 3  # drained, and some messages went to the dead letters
    QUEUE_UNREACHABLE = 4  # --drain gave up on the queue
    STORE_UNREACHABLE = 5  # --drain gave up on the store
    TOPIC_MISSING = 6  # --drain found no such topic


class Reason(str, enum.Enum):
    """Why a message is a dead letter: the closed list."""

    UNDECODABLE = "undecodable"  # the bytes are not UTF-8 JSON
    BAD_ENVELOPE = "bad_envelope"  # JSON, but not estela's envelope
    BAD_NAME = "bad_name"  # jid, db_name or dataset_name give no name that MongoDB takes
    BAD_VALUE = "bad_value"  # something in the payload that MongoDB cannot hold
    TOO_LARGE = "too_large"  # over 16 MiB as a document
    DUPLICATE_ID = "duplicate_id"  # another document has this `_id`
    DUPLICATE_KEY = "duplicate_key"  # a unique index of the collection has these values
    INVALID = "invalid"  # the collection's own validation refuses it
    NOT_PERMITTED = "not_permitted"  # no permission on that database
    REFUSED = "refused"  # the store refuses it for another reason


class BadMessage(Exception):
    """This message cannot be stored, now or later; its neighbours can."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class ConsumerError(Exception):
    """A fault of the consumer's surroundings."""


class UsageError(ConsumerError):
    """A setting is wrong; the message names it and what to do."""


class StoreUnreachable(ConsumerError):
    """The store cannot take writes now: waiting mends it."""
