"""What the commands print: data as data, whatever the output is and whether or not it takes it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import IO, Any, TextIO

from rich.console import Console, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from estela_terminal.printable import printable, printable_json, printable_lines

_WIDTH_OF_A_FILE = 160  # columns, if the output is no terminal
_HEIGHT = 25  # lines, if the width is ours to say
_ANY_WIDTH = 10_000  # columns
_NARROWEST = 20  # columns; below, a table would have no room for a character of each column


class OutputFailed(Exception):
    """Standard output did not take all that was to be printed."""


class DataConsole(Console):
    """rich's console, with all switched off that it would read into data, and with the cursor never hidden.

    A process that is killed could not show the cursor again.
    """

    def __init__(self, stream: TextIO | None) -> None:
        width = _width(stream)
        super().__init__(
            file=stream or io.StringIO(),
            width=width,
            height=_HEIGHT if width else None,  # or rich would not heed the width on a dumb terminal
            markup=False,
            emoji=False,
            highlight=False,
        )

    def show_cursor(self, show: bool = True) -> bool:
        return False

    def on_broken_pipe(self) -> None:
        """Leave the error to who prints; rich would end the process."""
        raise


class DataTable(Table):
    """A table whose titles and cells are data; what is too wide is folded, never cut."""

    def add_data_column(self, title: object, *, number: bool = False) -> None:
        """A column; numbers stand at the right."""
        justify: JustifyMethod = "right" if number else "left"
        self.add_column(as_text(title), justify=justify, overflow="fold")

    def add_data_row(self, *cells: object) -> None:
        """A row of what each cell's `str` says."""
        self.add_row(*map(as_text, cells))

    @property
    def fits(self) -> bool:
        """Whether standard output is wide enough for it without folding."""
        console = DataConsole(sys.stdout)
        return (
            Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), self).maximum
            <= console.width
        )


def data_table(*titles: object, numbers: tuple[object, ...] = ()) -> DataTable:
    """A table without lines: columns of text, then columns of numbers."""
    table = DataTable(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_data_column(title)
    for title in numbers:
        table.add_data_column(title, number=True)
    return table


def as_text(value: object, style: str = "") -> Text:
    """The value for rich, in one line: neither markup nor control characters."""
    return Text(_encodable(printable(value), sys.stdout), style)


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether a person looks at it. FORCE_COLOR asks for colours, and makes no terminal of a file."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def output_width() -> int:
    """Columns that a table on standard output can have."""
    return DataConsole(sys.stdout).width


def print_line(text: object) -> None:
    """One line on standard output; raises OutputFailed, as all that print here."""
    _write(printable(text) + "\n")


def print_lines(text: str) -> None:
    """Lines on standard output."""
    _write(printable_lines(text) + "\n")


def print_table(*parts: RenderableType) -> None:
    """Tables and texts (see `as_text`) on standard output, one below the other."""
    console = DataConsole(_standard_output())
    with _output_failures(), console.capture() as captured:  # at its end rich writes nothing, which can fail
        for part in parts:
            console.print(part)
    _write(captured.get())


def print_json(value: Any, *, indent: int | None = None) -> None:
    """One JSON value on standard output: UTF-8 whatever the locale is, and ASCII if it is another."""
    print_json_text(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent))


def print_json_text(text: str) -> None:
    """The same for what is JSON already."""
    ascii_only = not _encoding(sys.stdout).startswith("utf")
    _write_bytes(printable_json(text + "\n", ascii_only=ascii_only).encode())


def flush_output() -> None:
    """Have all on its way that was printed; raises OutputFailed."""
    if sys.stdout is not None:
        with _output_failures():
            sys.stdout.flush()


@contextlib.contextmanager
def after_the_work() -> Iterator[None]:
    """What is printed within tells of work that is done: if it cannot be, the exit code stays the work's.

    A line on standard error says so.
    """
    try:
        yield
        flush_output()
    except OutputFailed as error:
        say_error(f"{error}; the exit code is that of the work")


def say_error(error: object) -> None:
    """An error in one line on standard error, if that takes it. Never raises."""
    say(f"Error: {printable(error)}")


def say(text: str) -> None:
    """Lines on standard error, if it takes them. Never raises."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(_encodable(printable_lines(text), sys.stderr) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _discard(sys.stderr)


def discard_unwritten_errors() -> None:
    """Leave nothing in standard error that the interpreter could fail on at its end. Never raises."""
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            _discard(sys.stderr)


def _write(text: str) -> None:
    stream = _standard_output()
    with _output_failures():
        stream.write(_encodable(text, stream))
        stream.flush()  # what comes next may go past its buffer


def _write_bytes(data: bytes) -> None:
    """Past the encoding of the locale; a command that prints JSON prints nothing else."""
    stream = _standard_output()
    buffer = getattr(stream, "buffer", None)
    if buffer is None:  # a stream of text alone, in the place of the real one
        _write(data.decode())
        return
    with _output_failures():
        buffer.write(data)
        if getattr(stream, "line_buffering", False):  # as Python has it on a terminal
            buffer.flush()


def _standard_output() -> TextIO:
    if sys.stdout is None:  # closed by whoever started us
        raise OutputFailed("standard output is closed")
    return sys.stdout


@contextlib.contextmanager
def _output_failures() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        _discard(sys.stdout)
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise OutputFailed(f"standard output cannot be written: {why}") from error


def _discard(stream: TextIO) -> None:
    """What is still in the stream's buffer goes nowhere, or the interpreter would fail on it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _encodable(text: str, stream: TextIO | None) -> str:
    """What the stream's encoding has no character for is escaped, before a table is laid out."""
    encoding = _encoding(stream)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _encoding(stream: TextIO | None) -> str:
    return (getattr(stream, "encoding", None) or "utf-8").lower()


def _width(stream: TextIO | None) -> int | None:
    """Columns; None if rich shall ask the terminal, each time."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and len(columns) < 6 and int(columns):
        return max(int(columns), _NARROWEST)
    return None if is_terminal(stream) and not columns else _WIDTH_OF_A_FILE
