"""What came from outside, written so that it can only be looked at.

A terminal obeys control characters, and people are misled by those that turn the direction of writing or
take no room. Each is shown as Python and JSON write it, such as `\\x1b`; nothing is omitted.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
import unicodedata
from collections.abc import Callable

_NOT_ASCII_TEXT = re.compile(r"[^\x20-\x7e]+")
_NOT_ASCII_TEXT_OR_LINE_END = re.compile(r"[^\x20-\x7e\n]+")
# These are letters and marks to Unicode, and take no room or show nothing. The two selectors that every other
# emoji has are not among them.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
_LONGEST = 200  # characters of a value in an error
_INDENT = "    "  # before each line of a traceback, so that none looks like a line of the log


def printable(value: object) -> str:
    """The text of `value` in one line without control characters; printable text comes back as it is."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return _NOT_ASCII_TEXT.sub(lambda found: _escaped(found[0], _escape), text)


def shown(value: object) -> str:
    """The same for an error, which is not a long line: at most 200 characters of it."""
    text = printable(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def printable_lines(text: str) -> str:
    """The same, with the ends of its lines kept."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str, *, ascii_only: bool = False) -> str:
    """The same JSON without control characters in its strings, which are equal when they are read.

    `ascii_only` for outputs that may not know the others.
    """
    shown = _json_escape if ascii_only else lambda run: _escaped(run, _json_escape)
    return _NOT_ASCII_TEXT_OR_LINE_END.sub(lambda found: shown(found[0]), text)


def printable_record(record: logging.LogRecord) -> bool:
    """A filter for loggers and handlers: makes the record's message and traceback printable, and keeps it.

    The message becomes one line. A record that cannot be formatted is left to its handler, which says so.
    """
    try:
        record.msg = printable(record.getMessage())
    except Exception:  # noqa: BLE001  (whoever logs must not fail for it)
        return True
    record.args = ()
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = printable_traceback(record.exc_info[1])
    return True


def printable_traceback(error: BaseException) -> str:
    """The traceback, each line indented."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return "\n".join(_INDENT + printable(line) for line in text.rstrip("\n").split("\n"))


def printable_logger(name: str) -> logging.Logger:
    """The logger of that name, each of whose own records is printable wherever it goes."""
    logger = logging.getLogger(name)
    logger.addFilter(printable_record)
    return logger


def _escaped(run: str, escape: Callable[[str], str]) -> str:
    """The characters of a run outside ASCII, those that are not for the eye escaped."""
    if run.isprintable() and not _INVISIBLE.search(run):
        return run
    return "".join(character if _is_escaped(character) else escape(character) for character in run)


def _is_escaped(character: str) -> bool:
    if _INVISIBLE.match(character):
        return False
    return character.isprintable() or unicodedata.category(character) == "Zs"  # a space of some width


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_escape(run: str) -> str:
    return json.dumps(run)[1:-1].replace("\x7f", "\\u007f")
