"""One setting at a time, from Scrapy or the environment, and what is misspelt in either."""

from __future__ import annotations

import contextlib
import logging
import string
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.settings import (
    PREFIX,
    as_boolean,
    as_number,
    as_text,
    as_whole_number,
    unknown,
)
from estela_queue_adapter.topic_names import is_topic
from estela_terminal.printable import printable

OWN_PREFIX = "ESTELA_"
PLACEHOLDERS = ("spider", "job", "project", "topic")

# Variables of the same prefix that others read: estela itself, and estela-consume and its sisters.
ESTELAS = (
    "ESTELA_SPIDER_*",
    "ESTELA_API_*",
    "ESTELA_AUTH_TOKEN",
    "ESTELA_COLLECTION",
    "ESTELA_UNIQUE_COLLECTION",
    "ESTELA_PROXY_*",
    "ESTELA_PROXIES_*",
)
CONSUMERS = (
    "ESTELA_DRAIN",
    "ESTELA_CHUNK_COUNT",
    "ESTELA_CHUNK_BYTES",
    "ESTELA_CHUNK_AGE",
    "ESTELA_WRITERS",
    "ESTELA_RATE",
    "ESTELA_MAX_WAIT",
    "ESTELA_GRACE",
    "ESTELA_JSON",
    "ESTELA_VERBOSE",
)

_LONGEST = 200  # characters of a value in an error
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

T = TypeVar("T")


class SettingReader:
    """Scrapy's settings first, then the environment; empty counts as unset, but for topics.

    Each method raises ConfigurationError for what does not fit, in one line that names the setting.
    """

    def __init__(self, settings: BaseSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def queue_variables(self) -> dict[str, str]:
        """Scrapy's QUEUE_PLATFORM* settings, as the environment would have them."""
        return {
            name: self._converted(name, value, as_text, "text, a number or a list", secret=True)
            for name in self._settings
            if name.startswith(PREFIX) and (value := self._settings[name]) not in (None, "")
        }

    def misspelt(self, known: Iterable[str]) -> list[str]:
        """What to say of each ESTELA_* name that is not `known`, nor estela's or the consumer's."""
        known = set(known)
        given = {name for name in (*self._settings, *self._environ) if name.startswith(OWN_PREFIX)}
        others = (*ESTELAS, *CONSUMERS)
        return [
            unknown(name, known)
            for name in sorted(given - known)
            if not any(fnmatchcase(name, pattern) for pattern in others)
        ]

    def is_told(self, name: str) -> bool:
        """Whether the command line or the environment sets it, rather than the project or a spider."""
        priority = self._settings.getpriority(name) or 0
        return priority >= SETTINGS_PRIORITIES["cmdline"] or bool(self._environ.get(name))

    def topic(self, name: str, default: str) -> str:
        given = self._settings.get(name)
        given = self._environ.get(name, default) if given is None else given
        if given is False:
            return ""
        if given is True:
            raise ConfigurationError(f"{name}=True is not a topic; name one")
        topic = self._converted(name, given, as_text, "a topic")
        if topic and not is_topic(topic):
            raise ConfigurationError(
                f"{name}={told(topic)} is no topic: letters, digits, dots, underscores and dashes make one, "
                "249 at most; empty switches the stream off"
            )
        return topic

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self._converted(name, self.given(name, default), as_text, f"one of {', '.join(choices)}")
        if value not in choices:
            raise ConfigurationError(f"{name}={told(value)}: the valid choices are {', '.join(choices)}")
        return value

    def level(self, name: str, default: str) -> int:
        """A level of logging, by its name or number."""
        word = self._converted(name, self.given(name, default), as_text, "a level").strip().upper()
        word = logging.getLevelName(int(word)) if word.isdecimal() else word
        if word not in _LEVELS:
            raise ConfigurationError(f"{name}={told(word)}: the valid choices are {', '.join(_LEVELS)}")
        return int(getattr(logging, word))

    def file(self, name: str, default: str) -> Path:
        try:
            path = Path(self._converted(name, self.given(name, default), as_text, "a file"))
            path = path.expanduser().absolute()
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

    def template(self, name: str) -> str:
        template = self._converted(name, self.given(name, ""), as_text, "a template")
        choices = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
        try:
            used = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
            for placeholder in used:
                if placeholder not in PLACEHOLDERS:
                    raise ConfigurationError(
                        f"{name}: {{{placeholder}}} is not known; the valid ones are {choices}"
                    )
            template.format_map(dict.fromkeys(PLACEHOLDERS, "x"))  # what follows a placeholder may be wrong
        except (ValueError, LookupError, AttributeError) as error:
            raise ConfigurationError(f"{name}={told(template)} is not a template: {error}") from error
        return template

    def boolean(self, name: str, default: bool) -> bool:
        return self._converted(name, self.given(name, default), as_boolean, "True or False")

    def whole_number(self, name: str, default: int) -> int:
        value = self._converted(name, self.given(name, default), as_whole_number, "a whole number")
        if value < 1:
            raise ConfigurationError(f"{name}={value} is not above 0")
        return value

    def positive(self, name: str, default: float) -> float:
        value = self._converted(name, self.given(name, default), as_number, "a number")
        if value <= 0:
            raise ConfigurationError(f"{name}={value} is not above 0")
        return value

    def given(self, name: str, default: Any) -> Any:
        """The value as it is set."""
        for value in (self._settings.get(name), self._environ.get(name)):
            if value is not None and value != "":
                return value
        return default

    @staticmethod
    def _converted(
        name: str, value: Any, convert: Callable[[Any], T], expected: str, *, secret: bool = False
    ) -> T:
        try:
            return convert(value)
        except (TypeError, ValueError, OverflowError) as error:
            given = f"a {type(value).__name__}" if secret else told(value)
            raise ConfigurationError(f"{name}={given} is not {expected}") from error


def told(value: Any) -> str:
    """The value in an error, which is one line and not a long one."""
    text = printable(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
