"""The kinds of the extension's settings: each makes a value of what was given.

Each takes the setting's name and what was given, and raises ConfigurationError for what does not fit, in one
line that names the setting.
"""

from __future__ import annotations

import contextlib
import json
import logging
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.location import located
from estela_queue_adapter.settings import Kind, as_boolean, as_number, as_text, as_whole_number
from estela_terminal.printable import shown
from estela_wire.keys import MAX_KEY_FIELDS, OnExisting

PLACEHOLDERS = ("spider", "job", "project", "topic")
"""What the template of a database may name."""
DATASET_PLACEHOLDERS = (*PLACEHOLDERS, "class")
"""What that of a collection may."""

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

T = TypeVar("T")
N = TypeVar("N", int, float)


def one_of(*choices: str) -> Kind:
    """One of these words."""

    def kind(name: str, given: Any) -> str:
        text = _converted(name, given, as_text, f"one of {', '.join(choices)}")
        if text not in choices:
            raise ConfigurationError(f"{name}={shown(text)}: the valid choices are {', '.join(choices)}")
        return text

    return kind


on_existing = one_of(*(mode.value for mode in OnExisting))


def log_level(name: str, given: Any) -> int:
    """A level of logging, by its name or number."""
    text = _converted(name, given, as_text, "a level").strip().upper()
    text = logging.getLevelName(int(text)) if text.isdecimal() else text
    if text not in _LEVELS:
        raise ConfigurationError(f"{name}={shown(text)}: the valid choices are {', '.join(_LEVELS)}")
    return int(getattr(logging, text))


def file(name: str, given: Any) -> Path:
    """The absolute path of a file that is there, or that could be created."""
    try:
        path = located(_converted(name, given, as_text, "a file"))
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.stat()  # the questions below answer no when this one says why
        folder = next((parent for parent in path.parents if parent.exists()), path)
        is_folder = path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # no such user, or nobody's name for a file
        raise ConfigurationError(f"{name} names no file: {error}") from error
    if is_folder:
        raise ConfigurationError(f"{name}={path} is a directory; it names a file")
    if not folder.is_dir():
        raise ConfigurationError(f"{name}={path} cannot be there: {folder} is not a directory")
    return path


def template(*placeholders: str) -> Kind:
    """A text with some of these in braces; empty if there is none."""
    choices = ", ".join(f"{{{known}}}" for known in placeholders)

    def kind(name: str, given: Any) -> str:
        text = _converted(name, given, as_text, "a template")
        try:
            used = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
            for placeholder in used:
                if placeholder not in placeholders:
                    raise ConfigurationError(
                        f"{name}: {{{placeholder}}} is not known; the valid ones are {choices}"
                    )
            text.format_map(dict.fromkeys(placeholders, "x"))  # what follows a placeholder may be wrong
        except (ValueError, LookupError, AttributeError) as error:
            raise ConfigurationError(f"{name}={shown(text)} is not a template: {error}") from error
        return text

    return kind


def field_names(name: str, given: Any) -> tuple[str, ...]:
    """Names of an item's fields: one, several in a list, also as JSON, or with commas between. Maybe none."""
    if given is None or given == "":
        return ()
    parts = _parts(given) if isinstance(given, str) else given
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise ConfigurationError(f"{name}={shown(given)} is not the name of a field, nor a list of such")
    names = tuple(part.strip() for part in parts)
    for field in names:
        if names.count(field) > 1:
            raise ConfigurationError(f"{name}={shown(given)} names the field {shown(field)} twice")
        if not field or "\0" in field or not is_utf8(field):
            raise ConfigurationError(f"{name}={shown(given)}: {shown(field)!r} is no field's name")
    return names


def _parts(text: str) -> Any:
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text.split(",")


def key(name: str, given: Any) -> tuple[str, ...]:
    """The names of the fields that tell documents apart. Maybe none."""
    names = field_names(name, given)
    if len(names) > MAX_KEY_FIELDS:
        raise ConfigurationError(f"{name} has {len(names)} fields; a key has {MAX_KEY_FIELDS} at most")
    return names


def unless_unset(kind: Kind) -> Kind:
    """The same, but None for what is not given, which something else decides then."""

    def maybe(name: str, given: Any) -> Any:
        return None if given is None or given == "" else kind(name, given)

    return maybe


def boolean(name: str, given: Any) -> bool:
    """True or False, also as 1, yes, on and 0, no, off."""
    return _converted(name, given, as_boolean, "True or False")


def whole_number(name: str, given: Any) -> int:
    """An int above 0."""
    return _above_zero(name, _converted(name, given, as_whole_number, "a whole number"))


def number(name: str, given: Any) -> float:
    """A finite float above 0."""
    return _above_zero(name, _converted(name, given, as_number, "a number"))


def number_or_zero(name: str, given: Any) -> float:
    """A finite float, 0 or more."""
    value = _converted(name, given, as_number, "a number")
    if value < 0:
        raise ConfigurationError(f"{name}={value} is below 0")
    return value


def variable_text(name: str, given: Any) -> str:
    """What an environment variable would say; the error does not show the value, which may be a secret."""
    try:
        return as_text(given)
    except ValueError as error:
        raise ConfigurationError(
            f"{name}=a {type(given).__name__} is not text, a number or a list"
        ) from error


def is_utf8(text: str) -> bool:
    """Whether it can be written: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _above_zero(name: str, value: N) -> N:
    if value <= 0:
        raise ConfigurationError(f"{name}={value} is not above 0")
    return value


def _converted(name: str, given: Any, convert: Callable[[Any], T], expected: str) -> T:
    try:
        return convert(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"{name}={shown(given)} is not {expected}") from error
