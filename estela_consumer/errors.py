"""What can go wrong on the way into the store, and the words for it."""

from __future__ import annotations

import enum

from estela_terminal.exit_codes import ExitCode

# Why `estela-consume` ended, for its --help, its log and the documents.
EXIT_MEANINGS = {
    ExitCode.OK: "all stored",
    ExitCode.FAILED: "a fault of the program; nothing is committed that is not safe",
    ExitCode.USAGE: "wrong arguments or settings",
    ExitCode.DEAD_LETTERS: "drained; some messages went to the dead letters",
    ExitCode.QUEUE_UNREACHABLE: "--drain gave up on the queue or on a dead-letter topic that does not exist, "
    "or the queue is too old for this program",
    ExitCode.STORE_UNREACHABLE: "--drain gave up on the store",
    ExitCode.TOPIC_MISSING: "--drain found no such topic",
    ExitCode.STOPPED: "a signal stopped --drain before it was done; the next one goes on",
    ExitCode.COMMITTED_BEYOND_END: "--drain met a partition that ended before the group's position "
    "(recreated, or cut short); it went on with what is there now, and what was lost cannot be known",
    ExitCode.MESSAGES_GONE: "retention removed messages before --drain read them",
    ExitCode.OPEN_TRANSACTION: "--drain gave up on a transaction that stayed open; "
    "what lies behind it is not read",
    ExitCode.ACCESS_REFUSED: "queue or store refused the login, or a permission, for --auth-max-wait seconds",
}


class Reason(str, enum.Enum):
    """Why a message is a dead letter: the closed list. docs/reliability.md says when each is given."""

    UNDECODABLE = "undecodable"
    BAD_ENVELOPE = "bad_envelope"
    BAD_NAME = "bad_name"
    UNREADABLE = "unreadable"
    BAD_KEY = "bad_key"
    KEY_MISMATCH = "key_mismatch"
    BAD_VALUE = "bad_value"
    TOO_LARGE = "too_large"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_KEY = "duplicate_key"
    INVALID = "invalid"
    NOT_PERMITTED = "not_permitted"
    REFUSED = "refused"


class BadMessage(Exception):
    """This message cannot be stored, now or later; its neighbours can."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class UnknownRefusal(BadMessage):
    """The store refuses it with an unknown error, which may pass by itself: the document is tried again.

    `code` tells one such error from another; `alone` is whether it was said of this one document.
    """

    def __init__(self, text: str, code: int, *, alone: bool) -> None:
        super().__init__(Reason.REFUSED, text)
        self.code = code
        self.alone = alone


class ConsumerError(Exception):
    """A fault of the consumer's surroundings."""


class UsageError(ConsumerError):
    """A setting is wrong; the message names it and what to do."""


class StoreUnreachable(ConsumerError):
    """The store cannot take writes now; it passes by itself."""


class StoreLoginRefused(StoreUnreachable):
    """The store answers, and refuses the login; somebody has to correct it, here or there."""


class AccessRefused(ConsumerError):
    """Queue or store has refused our login, or a permission, for as long as we were told to try."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(f"{text}. Refused for {seconds:.0f} s, and --auth-max-wait is over")
