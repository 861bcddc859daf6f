"""The queue that a command works on, and how its errors end it."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from typing import NoReturn

import click

from estela_config.options import current_configuration
from estela_queue_adapter import open_platform
from estela_queue_adapter.administration import Administration
from estela_queue_adapter.errors import (
    AccessDenied,
    ConfigurationError,
    GroupInUse,
    PermanentError,
    QueueError,
    TopicMissing,
)
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode
from estela_terminal.output import say_error
from estela_terminal.printable import printable

MEANINGS = {
    ExitCode.OK: "done, or shown what --yes would do",
    ExitCode.FAILED: "a fault of the program",
    ExitCode.USAGE: "wrong arguments or settings, no such group, or the queue has no such operation",
    ExitCode.QUEUE_UNREACHABLE: "the queue cannot be reached",
    ExitCode.TOPIC_MISSING: "no such topic",
    ExitCode.ACCESS_REFUSED: "the queue refuses the login, or a permission",
    ExitCode.IN_USE: "refused, and nothing is changed: the group has members or is of another kind, "
    "or has not read what would be removed",
    **OUTPUT_MEANINGS,
}


@contextlib.contextmanager
def opened_queue() -> Iterator[Administration]:
    """The configured queue; its errors become lines and exit codes."""
    try:
        with contextlib.closing(
            open_platform(environ=current_configuration().environ).administration()
        ) as administration:
            yield administration
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    except GroupInUse as error:
        refuse(error)
    except QueueError as error:
        say_error(error)
        sys.exit(_code_of(error))


def refuse(why: object) -> NoReturn:
    """End the command, which has changed nothing."""
    say_error(why)
    sys.exit(ExitCode.IN_USE)


def as_argument(name: str) -> str:
    """A name as one would type it in a shell, if one can."""
    shown = printable(name)
    return shlex.quote(name) if shown == name else f"$'{shown}'"


def _code_of(error: QueueError) -> ExitCode:
    if isinstance(error, TopicMissing):
        return ExitCode.TOPIC_MISSING
    if isinstance(error, AccessDenied):
        return ExitCode.ACCESS_REFUSED
    return ExitCode.USAGE if isinstance(error, PermanentError) else ExitCode.QUEUE_UNREACHABLE
