"""Logging of the consumer's commands."""

from __future__ import annotations

import click
from rich.console import Console

from estela_queue_adapter import queue_noisy_libraries
from estela_terminal.logs import set_up_logs

_KEY = "estela_consumer.console"  # in the meta of click's contexts


def set_up(*, verbose: bool = False) -> Console:
    """Log to standard error, the drivers' own lines only if `verbose`; returns the console to draw on."""
    console = set_up_logs(verbose=verbose, libraries=(*queue_noisy_libraries, "pymongo"))
    click.get_current_context().meta[_KEY] = console
    return console


def console() -> Console:
    """That of the command that runs, once the log is set up."""
    found: Console = click.get_current_context().meta[_KEY]
    return found
