"""Settings whose value is in a file, as secrets are handed to containers: `<NAME>_FILE` is its path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from estela_queue_adapter.errors import ConfigurationError

SUFFIX = "_FILE"
_MAX_BYTES = 1024 * 1024


def value_of(name: str, environ: Mapping[str, str]) -> str:
    """The variable `name`, or what is in the file that `<name>_FILE` names, without its line end; or empty.

    Raises ConfigurationError, which says nothing of the value.
    """
    given, path = environ.get(name) or "", environ.get(f"{name}{SUFFIX}") or ""
    if given and path:
        raise ConfigurationError(f"{name} and {name}{SUFFIX} are both set; set one of them")
    return _read(f"{name}{SUFFIX}", path) if path else given


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
