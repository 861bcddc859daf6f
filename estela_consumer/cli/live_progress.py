"""The progress on a terminal while the consumer runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live

from estela_consumer.cli.summary import running
from estela_consumer.pipeline.pace import Pace
from estela_consumer.service import ConsumerService
from estela_terminal.output import is_terminal


@contextlib.contextmanager
def live_progress(
    console: Console, service: ConsumerService, *, draining: bool
) -> Iterator[Callable[[], None]]:
    """What to call to have the progress drawn again; on anything but a terminal it draws nothing.

    A terminal that is gone meanwhile does not end the work.
    """
    if not is_terminal(console.file) or console.is_dumb_terminal:
        yield lambda: None
        return
    live = Live(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    pace, most = Pace(), 0

    def draw() -> None:
        nonlocal most
        snapshot, remaining = service.progress.snapshot(), service.remaining
        pace.add(time.monotonic(), snapshot.total["read"], remaining)
        most = max(most, remaining or 0)
        with _gone_is_quiet(console):
            live.update(running(snapshot, pace, most if draining else None), refresh=True)

    with _gone_is_quiet(console):
        live.start()
    try:
        yield draw
    finally:
        with _gone_is_quiet(console):
            live.stop()


@contextlib.contextmanager
def _gone_is_quiet(console: Console) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError):
        console.quiet = True
