"""`QUEUE_PLATFORM*` from the environment, arguments on top, and a clear error for what is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_type_hints

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.values import SUFFIX, value_of
from estela_terminal.printable import printable_logger

PREFIX = "QUEUE_PLATFORM"

logger = printable_logger(__name__)
T = TypeVar("T")


def get_queue_env_vars(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every variable of the environment that configures the queue, for handing on to a job."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if name.startswith(PREFIX)}


def variable(field: str) -> str:
    """The environment variable of the argument `field`."""
    return f"{PREFIX}_{field.upper()}"


def read(cls: type[T], environ: Mapping[str, str], arguments: Mapping[str, Any]) -> T:
    """A `cls` (a dataclass) from arguments where given, else from the environment, else its defaults.

    None and an empty string count as not given. `<VARIABLE>_FILE` names a file that holds the value.
    Raises ConfigurationError for a value that does not fit its field, and for a field without a default that
    is not set.
    """
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # T has no bound that says dataclass
        given, origin = arguments.get(field.name), f"{field.name}="
        if given is None or given == "":
            given, origin = value_of(variable(field.name), environ), variable(field.name)
        if given is not None and given != "":
            values[field.name] = _convert(given, hints[field.name], origin, secret=not field.repr)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigurationError(
                f"{variable(field.name)} is not set: give it{field.metadata.get('example', '')}, "
                f"or pass {field.name}=..."
            )
    return cls(**values)


def refuse_unknown(arguments: Mapping[str, Any], *known: type[Any]) -> None:
    """Raise ConfigurationError for an argument that no field of `known` has."""
    names = sorted(field.name for cls in known for field in dataclasses.fields(cls))
    for name in arguments:
        if name not in names:
            raise ConfigurationError(f"unknown argument {name}=: the valid ones are {', '.join(names)}")


def warn_of_unknown(environ: Mapping[str, str], *known: type[Any]) -> None:
    """One warning for each QUEUE_PLATFORM* variable that no field of `known` has: it is likely misspelt."""
    names = {PREFIX, *(variable(field.name) for cls in known for field in dataclasses.fields(cls))}
    names |= {f"{name}{SUFFIX}" for name in names}
    for name in sorted(environ):
        if name.startswith(PREFIX) and environ[name] and name not in names:
            logger.warning("%s", unknown(name, names))


def unknown(name: str, known: Iterable[str]) -> str:
    """What to say of a setting that nobody reads, with the known name that is nearest to it."""
    near = difflib.get_close_matches(name, list(known), n=1)
    meant = f"; did you mean {near[0]}?" if near else ": no setting is called that"
    return f"{name} has no effect{meant}"


def as_text(given: Any) -> str:
    """A setting as its environment variable would have it: a list or tuple with commas between its parts.

    Raises ValueError for what no variable could say.
    """
    if isinstance(given, (list, tuple)):
        return ",".join(as_text(part) for part in given)
    if isinstance(given, (str, int, float, os.PathLike)):
        return str(given)
    raise ValueError(f"a {type(given).__name__} is not text, a number or a list of these")


def as_boolean(given: Any) -> bool:
    """True for true, 1, yes and on, False for false, 0, no and off, in any case; raises ValueError."""
    word = str(given).strip().lower()
    if word not in _BOOLEANS:
        raise ValueError(f"{given!r} is not true or false")
    return _BOOLEANS[word]


def as_whole_number(given: Any) -> int:
    """An int, also from a float without a fraction or from text; raises ValueError."""
    if isinstance(given, bool) or (isinstance(given, float) and not given.is_integer()):
        raise ValueError(f"{given!r} is not a whole number")
    return int(given)


def as_number(given: Any) -> float:
    """A finite float; raises ValueError."""
    number = float(given)
    if isinstance(given, bool) or not math.isfinite(number):
        raise ValueError(f"{given!r} is not a number")
    return number


_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}

# What each kind of field is read by, and what it expects.
_READERS: dict[type, tuple[Callable[[Any], Any], str]] = {
    bool: (as_boolean, "true or false"),
    int: (as_whole_number, "a whole number"),
    float: (as_number, "a number"),
    str: (as_text, "text"),
}


def _convert(given: Any, hint: Any, origin: str, *, secret: bool) -> Any:
    kind = next((k for k in (bool, int, float) if hint in (k, k | None)), str)
    reader, expected = _READERS[kind]
    try:
        return reader(given)
    except (TypeError, ValueError, OverflowError) as error:
        shown = "its value" if secret else f"{given!r}"
        raise ConfigurationError(f"{origin}: {shown} is not {expected}") from error
