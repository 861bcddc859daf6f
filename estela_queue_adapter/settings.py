"""Settings: dataclasses, whose fields say how they are read.

They come from sources, of which the first that has a value wins. The queue's own come from arguments, then
from `QUEUE_PLATFORM*` variables; the extension adds Scrapy's settings to them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, get_type_hints

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.values import SUFFIX, hidden, value_of

PREFIX = "QUEUE_PLATFORM"
ENVIRONMENT = "the environment"

_LIKE, _VERY_LIKE = 0.75, 0.9  # by difflib's measure, in which equal names have 1

T = TypeVar("T")

Kind: TypeAlias = Callable[[str, Any], Any]
"""Makes the value of a field from the setting's name and what was given; raises ConfigurationError."""
Field: TypeAlias = "dataclasses.Field[Any]"


class Given(NamedTuple):
    """What a source has for a field, and the name by which people know it there."""

    name: str
    value: Any
    from_file: bool = False
    """Whether no error may quote it."""
    origin: str = ""
    """Where it was found, for people."""


class Source(Protocol):
    """Where settings come from."""

    def find(self, field: Field) -> Given | None:
        """What it has for the field; None if nothing. Raises ConfigurationError."""


class Arguments:
    """The arguments of a call; None counts as not given."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments

    def find(self, field: Field) -> Given | None:
        value = self._arguments.get(field.name)
        return None if value is None else Given(f"{field.name}=", value, origin="an argument")


class Variables:
    """Environment variables, or, if `files`, the files that `<VARIABLE>_FILE` names."""

    def __init__(
        self,
        environ: Mapping[str, str],
        prefix: str,
        *,
        files: bool = False,
        origin: str = ENVIRONMENT,
    ) -> None:
        self._environ = environ
        self._prefix = prefix
        self._files = files
        self._origin = origin

    def find(self, field: Field) -> Given | None:
        name = variable(field.name, self._prefix)
        from_file = value_of(name, self._environ) if self._files else ""
        value = from_file or self._environ.get(name)
        if value is None:
            return None
        is_file = bool(from_file and self._environ.get(f"{name}{SUFFIX}"))
        return Given(name, value, from_file=is_file, origin=self._origin)


def setting(kind: Kind, default: Any, *, empty_counts: bool = False) -> dict[str, Any]:
    """The metadata of a field that `kind` reads, its default too, which is written as a user would write it.

    An empty value counts as not given, unless `empty_counts`.
    """
    return {"kind": kind, "default": default, "empty_counts": empty_counts}


def settings_of(cls: type[Any]) -> dict[str, Field]:
    """The fields of `cls` with such metadata, by name; it may have others, which no source is asked for."""
    return {field.name: field for field in dataclasses.fields(cls) if "kind" in field.metadata}


def read_setting(field: Field, sources: Sequence[Source]) -> Any:
    """The value of one such field. Raises ConfigurationError."""
    given = first_given(field, sources)
    name, value = (field.name, field.metadata["default"]) if given is None else given[:2]
    return field.metadata["kind"](name, value)


def get_queue_env_vars(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Every variable of the environment that configures the queue, for handing on to a job."""
    environ = os.environ if environ is None else environ
    return {name: value for name, value in environ.items() if name.startswith(PREFIX)}


def overlaid(lower: Mapping[str, str], upper: Mapping[str, str]) -> dict[str, str]:
    """Two environments as one: what `upper` sets counts, also in the place of the lower one's `<NAME>_FILE`.

    An empty value sets nothing.
    """
    is_set = {name for name, value in upper.items() if value}
    replaced = {name.removesuffix(SUFFIX) for name in is_set} | {f"{name}{SUFFIX}" for name in is_set}
    kept = {name: value for name, value in lower.items() if name not in replaced}
    return {**upper, **kept, **{name: upper[name] for name in is_set}}


def variable(field: str, prefix: str = PREFIX) -> str:
    """The environment variable of the setting `field`."""
    return f"{prefix}_{field.upper()}"


def read(cls: type[T], environ: Mapping[str, str], arguments: Mapping[str, Any]) -> T:
    """A `cls` (a dataclass) from arguments if given, else from the environment, else its defaults.

    None and an empty string count as not given. `<VARIABLE>_FILE` names a file that holds the value. A field
    is read by the kind that its metadata has, else by its type. Raises ConfigurationError for a value that
    does not fit its field, and for a field without a default that is not set.
    """
    hints = get_type_hints(cls)
    sources = (Arguments(arguments), Variables(environ, PREFIX, files=True))
    values: dict[str, Any] = {}
    from_files: dict[str, str] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # T has no bound that says dataclass
        if "default" in field.metadata:
            values[field.name] = read_setting(field, sources)
        elif (given := first_given(field, sources)) is not None:
            kind = field.metadata.get("kind") or _kind_of(hints[field.name], secret=not field.repr)
            if given.from_file:
                from_files[given.name] = given.value
            with _without(from_files):
                values[field.name] = kind(given.name, given.value)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigurationError(
                f"{variable(field.name)} is not set: give it{field.metadata.get('example', '')}, "
                f"or pass {field.name}=..."
            )
    with _without(from_files):
        return cls(**values)


@contextlib.contextmanager
def _without(from_files: Mapping[str, str]) -> Iterator[None]:
    """Have no ConfigurationError quote what came from a file."""
    try:
        yield
    except ConfigurationError as error:
        text = str(error)
        for name, value in from_files.items():
            if name in text:
                text = hidden(text, name, value)
        if text == str(error):
            raise
        raise ConfigurationError(text) from None


def first_given(field: Field, sources: Sequence[Source]) -> Given | None:
    """What the first source that has something gives for the field. Raises ConfigurationError."""
    for source in sources:
        given = source.find(field)
        if given is not None and (given.value != "" or field.metadata.get("empty_counts")):
            return given
    return None


def refuse_unknown(arguments: Mapping[str, Any], *known: type[Any]) -> None:
    """Raise ConfigurationError for an argument that no field of `known` has."""
    names = sorted(field.name for cls in known for field in dataclasses.fields(cls))
    for name in arguments:
        if name not in names:
            raise ConfigurationError(f"unknown argument {name}=: the valid ones are {', '.join(names)}")


def variables_of(*classes: type[Any]) -> set[str]:
    """Every variable that the fields of these are read from."""
    names = {PREFIX, *(variable(field.name) for cls in classes for field in dataclasses.fields(cls))}
    return names | {f"{name}{SUFFIX}" for name in names}


def unread_settings(
    names: Iterable[str], prefix: str, read: Collection[str], known: Callable[[], Collection[str]]
) -> list[str]:
    """What to say of each of `names` that is meant for us, as it seems, and that nobody reads.

    That is one that begins with `prefix` and is not among `read`, or one that is like one of the `known`,
    which may be more, and are asked for only if needed. The nearest of them is told, if any is near.
    """
    told = []
    for name in sorted(name for name in set(names) - set(read) if _begins_alike(name, prefix)):
        near = _nearest(name, prefix, known())
        if near == name:
            told.append(f"{name} has no effect here: it is a setting of another platform")
        elif near:
            told.append(f"{name} has no effect; did you mean {near}?")
        elif name.startswith(prefix):
            told.append(f"{name} has no effect: no setting is called that")
    return told


def _begins_alike(name: str, prefix: str) -> bool:
    if name.startswith(prefix):
        return True
    beginning = name[: len(prefix)].upper()
    return difflib.SequenceMatcher(None, beginning, prefix).ratio() >= _LIKE


def _nearest(name: str, prefix: str, known: Collection[str]) -> str:
    """The known name that is like this one; empty if none is.

    What all of them begin with says nothing: the rest is compared. If the name begins with something else,
    it must be very much like the known one to be meant for it.
    """
    if name in known:
        return name
    if name.startswith(prefix):
        rests = {each.removeprefix(prefix): each for each in known}
        near = difflib.get_close_matches(name.removeprefix(prefix), rests, n=1, cutoff=_LIKE)
        return rests[near[0]] if near else ""
    near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=_VERY_LIKE)
    return near[0] if near else ""


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
    text = str(given).strip().lower()
    if text not in _BOOLEANS:
        raise ValueError(f"{given!r} is not true or false")
    return _BOOLEANS[text]


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

# What a field without a kind is read by, and what it expects.
_READERS: dict[type, tuple[Callable[[Any], Any], str]] = {
    bool: (as_boolean, "true or false"),
    int: (as_whole_number, "a whole number"),
    float: (as_number, "a number"),
    str: (as_text, "text"),
}


def _kind_of(hint: Any, *, secret: bool) -> Kind:
    """How a field of that type is read; the error does not show the value of a secret."""
    reader, expected = _READERS[next((k for k in (bool, int, float) if hint in (k, k | None)), str)]

    def kind(name: str, value: Any) -> Any:
        try:
            return reader(value)
        except (TypeError, ValueError, OverflowError) as error:
            shown = "its value" if secret else f"{value!r}"
            raise ConfigurationError(f"{name}: {shown} is not {expected}") from error

    return kind
