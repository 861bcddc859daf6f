"""The log lines of a command, on standard error."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import click
from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from estela_terminal.json_log import JsonFormatter
from estela_terminal.output import DataConsole, is_terminal
from estela_terminal.printable import printable_record

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # on Python 3.10 it takes no type

TEXT, JSON = "text", "json"
_KEY = "estela_terminal.log_format"  # in the meta of click's contexts

_Command: TypeAlias = Callable[..., Any]

logger = logging.getLogger(__name__)


def log_format_option(command: _Command) -> _Command:
    """Gives the command `--log-format`, which `set_up_logs` heeds."""
    return click.option(
        "--log-format",
        envvar="ESTELA_LOG_FORMAT",
        show_envvar=True,
        type=click.Choice([TEXT, JSON]),
        default=TEXT,
        show_default=True,
        expose_value=False,
        callback=_remember,
        help="Log lines for people, or one JSON object each.",
    )(command)


def _remember(context: click.Context, _parameter: click.Parameter, value: str) -> None:
    context.meta[_KEY] = value


def set_up_logs(*, verbose: bool = False, libraries: Iterable[str] = ()) -> Console:
    """Log to standard error, a line each; the `libraries`' own only if `verbose`, as ours say what they mean.

    Returns the console that whatever else is drawn there must use. No line that is not taken ends the
    work, and what a thread dies of is logged too. With `--log-format json` nothing is drawn.
    """
    console = DataConsole(sys.stderr)
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_KEY) == JSON:
        console.quiet = True
        handler = _json_handler(sys.stderr)
    else:
        handler = _handler(console, sys.stderr)
        handler.addFilter(printable_record)
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for library in libraries:
        logging.getLogger(library).setLevel(logging.INFO if verbose else logging.CRITICAL)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_the_end_of_a_thread
    return console


def _json_handler(stream: TextIO | None) -> logging.Handler:
    if stream is None:  # closed by whoever started us
        return logging.NullHandler()
    handler = _FileHandler(stream)
    handler.setFormatter(JsonFormatter())
    return handler


def _handler(console: Console, stream: TextIO | None) -> logging.Handler:
    if stream is None:  # closed by whoever started us
        return logging.NullHandler()
    handler: logging.Handler
    if is_terminal(stream):
        handler = _TerminalHandler(
            console=console,
            show_path=False,
            log_time_format="%X",
            highlighter=NullHighlighter(),
            keywords=[],
        )
        handler.setFormatter(logging.Formatter("%(message)s"))  # the handler itself writes time and level
    else:
        handler = _FileHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


class _FileHandler(_StreamHandler):
    """Lines for a file or a pipe. One that is not taken is lost; the next may be taken again."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handleError(record)


class _TerminalHandler(RichHandler):
    """Lines above what is drawn on a terminal. Once that is gone nothing more is kept for it."""

    def handleError(self, record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], (OSError, ValueError)):
            self.console.quiet = True
        else:
            super().handleError(record)


def _log_the_end_of_a_thread(end: threading.ExceptHookArgs) -> None:
    name = end.thread.name if end.thread else "(unknown)"
    if end.exc_value is not None and not issubclass(end.exc_type, SystemExit):
        logger.error("Thread %s failed.", name, exc_info=end.exc_value)
