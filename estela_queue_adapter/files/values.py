"""Settings whose value is in a file, as secrets are handed to containers: `<NAME>_FILE` is its path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from estela_queue_adapter.errors import ConfigurationError

SUFFIX = "_FILE"
_MAX_BYTES = 1024 * 1024
# Between the parts of a list or a URL; the name of a URL's option is no secret.
_SEPARATORS = re.compile(r"[,\s/@:?&]+|\b\w+=")
_PUBLIC = frozenset({"mongodb", "mongodb+srv", "sqlite", "true", "false"})


def value_of(name: str, environ: Mapping[str, str]) -> str:
    """The variable `name`, or what is in the file that `<name>_FILE` names, without its line end; or empty.

    Raises ConfigurationError, which says nothing of the value.
    """
    given, path = environ.get(name) or "", environ.get(f"{name}{SUFFIX}") or ""
    if given and path:
        raise ConfigurationError(f"{name} and {name}{SUFFIX} are both set; set one of them")
    return _read(f"{name}{SUFFIX}", path) if path else given


def hidden(text: str, name: str, value: str) -> str:
    """The text without the value that came from the file which `<name>_FILE` names, and without its parts."""
    parts = {value, value.strip(), *_SEPARATORS.split(value)} - _PUBLIC - {""}
    if not parts:
        return text
    longest_first = sorted(parts, key=lambda part: (-len(part), part))
    any_part = "|".join(re.escape(shown) for part in longest_first for shown in {part, repr(part)[1:-1]})
    return re.sub(rf"(?<!\w)(?:{any_part})(?!\w)", f"(from {name}{SUFFIX})", text)


def _read(name: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ConfigurationError(f"{name}={path} is too large for the value of a setting")
        value = data.decode()
    except OSError as error:
        raise ConfigurationError(f"{name}={path} cannot be read: {error.strerror or error}") from error
    except ValueError:  # neither UTF-8 nor a path; the text may hold the secret
        raise ConfigurationError(f"{name}={path!r}: not a file of UTF-8 text") from None
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise ConfigurationError(f"{name}={path} is empty")
    return value
