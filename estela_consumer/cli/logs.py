"""Logging of the commands: lines on standard error."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler

from estela_queue_adapter import queue_noisy_libraries


def set_up(console: Console, *, verbose: bool) -> None:
    """Log to `console`; the drivers' own lines only where `verbose`, as ours say what they mean."""
    if console.is_terminal:
        handler: logging.Handler = RichHandler(console=console, show_path=False, log_time_format="%X")
        handler.setFormatter(logging.Formatter("%(message)s"))  # the handler itself writes time and level
    else:
        handler = logging.StreamHandler(console.file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for library in (*queue_noisy_libraries, "pymongo"):
        logging.getLogger(library).setLevel(logging.INFO if verbose else logging.CRITICAL)
