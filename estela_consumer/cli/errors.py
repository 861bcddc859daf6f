"""How what goes wrong around a command ends it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from estela_consumer.errors import StoreUnreachable, UsageError
from estela_pages.address import ListenError
from estela_queue_adapter.errors import ConfigurationError, QueueError
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import say_error


@contextlib.contextmanager
def ended_by_errors() -> Iterator[None]:
    """A wrong setting ends the command as a wrong argument does, a failing queue or store with its code."""
    try:
        yield
    except (UsageError, ListenError, ConfigurationError) as error:
        raise click.UsageError(str(error)) from None
    except (QueueError, StoreUnreachable) as error:
        say_error(error)
        is_store = isinstance(error, StoreUnreachable)
        sys.exit(ExitCode.STORE_UNREACHABLE if is_store else ExitCode.QUEUE_UNREACHABLE)
