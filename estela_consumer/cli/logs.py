"""Logging of the consumer's commands."""

from __future__ import annotations

from rich.console import Console

from estela_queue_adapter import queue_noisy_libraries
from estela_terminal.logs import set_up_logs


def set_up(*, verbose: bool = False) -> Console:
    """Log to standard error, the drivers' own lines only if `verbose`; returns the console to draw on."""
    return set_up_logs(verbose=verbose, libraries=(*queue_noisy_libraries, "pymongo"))
