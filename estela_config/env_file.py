"""A `.env` file: lines of NAME=value, as docker and python-dotenv know them."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from dotenv.parser import parse_stream

from estela_config.names import is_read, is_secret
from estela_queue_adapter.errors import ConfigurationError

_MAX_BYTES = 1024 * 1024


def read_env_file(path: str) -> tuple[dict[str, str], list[str]]:
    """What the file sets of the names that commands read, and what there is to warn of.

    A value is taken as it is written: `${NAME}` is not replaced. Raises ConfigurationError, which quotes no
    value.
    """
    text, mode = _read(path)
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.key is None and not binding.error:
            continue  # a comment or an empty line
        if binding.error or not binding.key or binding.value is None or "\0" in binding.value:
            raise ConfigurationError(
                f"--env-file {path}: line {_line(binding.original.string, binding.original.line)} cannot be "
                "read; write NAME=value, with quotes around a value that has spaces or a #"
            )
        if is_read(binding.key):
            values[binding.key] = binding.value
    secrets = [name for name, value in values.items() if is_secret(name, value)]
    if secrets and os.name != "nt" and mode & stat.S_IROTH:
        return values, [
            f"Everybody on this machine may read {path}, which has {', '.join(secrets)}: `chmod 600 {path}`"
        ]
    return values, []


def _line(text: str, first: int) -> int:
    """The number of the line on which the text begins to say something."""
    return first + text[: len(text) - len(text.lstrip())].count("\n")


def _read(path: str) -> tuple[str, int]:
    """The file's text, and its permissions if it is one that stays."""
    if not path:
        raise ConfigurationError("--env-file names no file: its value is empty")
    try:
        with Path(path).open("rb") as file:
            found = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"--env-file {path} cannot be read: {error.strerror or error}; name a file that exists and that "
            "you may read, or leave the option out"
        ) from error
    except ValueError as error:  # nobody's name for a file
        raise ConfigurationError(f"--env-file {path!r} names no file") from error
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(f"--env-file {path} is too large for a file of settings")
    try:
        return data.decode("utf-8-sig"), found if stat.S_ISREG(found) else 0
    except UnicodeDecodeError:
        raise ConfigurationError(f"--env-file {path} is not UTF-8 text; save it as UTF-8") from None
