"""What the commands end with: one number, one meaning, whichever command it is."""

from __future__ import annotations

import enum
import textwrap
from collections.abc import Mapping

_WIDTH = 78  # columns of a --help


class ExitCode(enum.IntEnum):
    """Every exit code of every command. Each command's --help says what it means there."""

    OK = 0
    FAILED = 1
    """A fault of the program."""
    USAGE = 2
    """Wrong arguments or settings."""
    DEAD_LETTERS = 3
    """Done, but for messages that were refused and are set aside."""
    QUEUE_UNREACHABLE = 4
    STORE_UNREACHABLE = 5
    """What holds the messages cannot be used: the store, or the outbox."""
    TOPIC_MISSING = 6
    INCOMPLETE = 7
    NO_CLOSING_RECORD = 8
    STOPPED = 9
    COMMITTED_BEYOND_END = 10
    MESSAGES_GONE = 11
    OPEN_TRANSACTION = 12
    OUTPUT_FAILED = 13
    """What was asked for could not be printed, or only in part."""
    CUT_SHORT = 14
    PROBLEMS_FOUND = 15
    """What was looked at works, but something about it must be corrected."""
    ACCESS_REFUSED = 16
    """A server has refused the login, or a permission, for as long as it was to be tried."""
    IN_USE = 17
    """Refused, and nothing was changed: somebody needs what would be changed or removed."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it: see `ended_by`."""


def ended_by(signal_number: int) -> int:
    """The exit code of a command that a signal ended, as shells have it."""
    return 128 + signal_number


# Of every command that does nothing but print.
OUTPUT_MEANINGS = {
    ExitCode.OUTPUT_FAILED: "the output could not be written, or not all of it",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}


def exit_codes_text(meanings: Mapping[ExitCode, str]) -> str:
    """The exit codes of one command for its --help."""
    widest = max(len(code.name) for code in meanings)
    lines = ["\b", "Exit codes:"]
    for code, meaning in sorted(meanings.items()):
        head = f"{int(code):>3}  {code.name:<{widest}}  "
        lines += textwrap.wrap(head + meaning, _WIDTH, subsequent_indent=" " * len(head))
    return "\n".join(lines)
