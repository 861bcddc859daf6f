"""JSON piece by piece: for what cannot be written as a whole, and to say where and why it cannot."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

import orjson

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization.conversion import (
    MAX_ITERATED,
    Pairs,
    Rule,
    elements_of,
    is_listed,
    name_of_type,
)

MAX_DEPTH = 254  # levels, as orjson has it; MongoDB takes 100
MAX_CONVERTED = 100  # that are reported of one value

_SCALARS = frozenset({str, int, float, bool, type(None)})
_PROBED_DEPTH = 8  # levels in which parts are tried as a whole: each level may read all that is below it
_PROBED_PARTS = 1_000  # parts that are tried together


class Converted(NamedTuple):
    """Something that is written, but not as it was."""

    where: str
    """Such as `price.amounts[3]`."""
    what: str


class Unwritable(SerializationError):
    """A value that cannot be written: `where` it stands in what was to be written, and why."""

    def __init__(self, where: str, error: Exception) -> None:
        self.where = where
        self.error = error
        self.reason = _reason_of(error)
        super().__init__(f"{where}: {self.reason}" if where else self.reason)

    @property
    def kind(self) -> str:
        """The reason without what is this value's alone."""
        own = isinstance(self.error, (SerializationError, RecursionError))
        return self.reason if own else name_of_type(self.error)


def _reason_of(error: Exception) -> str:
    """An error of somebody else's code, of which nothing is sure, in words."""
    if isinstance(error, SerializationError):
        return str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    name = name_of_type(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (its text fails as well)
        return name
    return f"{name}: {text}" if text else name


class Writer:
    """Writes one value, once.

    `whole` writes a part that needs no care, or raises; without it, each value is looked at. `simpler`
    returns what stands for a value, or NotImplemented, and is asked once for each value.
    """

    def __init__(
        self, whole: Callable[[Any], bytes] | None, simpler: Rule, converted: list[Converted] | None
    ) -> None:
        self._whole = whole
        self._simpler = simpler
        self._converted = [] if converted is None else converted
        self._path: list[str] = []
        self._open: set[int] = set()  # the ids of what is being written: none may be inside itself
        self._iterable = MAX_ITERATED

    def encode(self, value: Any) -> bytes:
        """The value as JSON; raises Unwritable."""
        try:
            return self._write(value)
        except Exception as error:
            if isinstance(error, Unwritable):
                raise Unwritable(self._where(error.where), error.error) from error
            raise Unwritable(self._where(), error) from error

    def _write(self, value: Any) -> bytes:
        if type(value) in _SCALARS:
            return _scalar(value)
        mark = id(value)
        if mark in self._open:
            raise SerializationError("contains itself")
        if len(self._open) == MAX_DEPTH:
            raise RecursionError
        self._open.add(mark)
        written = self._write_part(value)
        self._open.remove(mark)
        return written

    def _write_part(self, value: Any) -> bytes:
        if not isinstance(value, enum.Enum):
            if isinstance(value, dict):
                return self._object(list(value.items()))
            if isinstance(value, (list, tuple)):
                return self._array(list(value))
            if isinstance(value, str):
                return _scalar(str.__str__(value))
            if isinstance(value, int):
                return _scalar(int(value))
        found = self._simpler(value)
        if isinstance(found, Pairs):
            return self._object(found.pairs)
        if found is not NotImplemented:
            return self._write(found)
        if isinstance(value, (set, frozenset)):
            return b"[%b]" % b",".join(sorted(map(self._write, value)))
        if is_listed(value):
            elements = elements_of(value, self._iterable)
            self._iterable -= len(elements)
            return self._array(elements)
        self._say(f"a value of type {name_of_type(value)} is written as its str()")
        return self._write(str(value))

    def _array(self, values: list[Any]) -> bytes:
        pieces = []
        for start in range(0, len(values), _PROBED_PARTS):
            part = values[start : start + _PROBED_PARTS]
            written = self._try_whole(part)
            if written is not None:
                pieces.append(written[1:-1])
                continue
            for number, value in enumerate(part, start):
                self._path.append(f"[{number}]")
                pieces.append(self._write(value))
                self._path.pop()  # not if it fails: then the path says where
        return b"[%b]" % b",".join(pieces)

    def _object(self, pairs: list[tuple[Any, Any]]) -> bytes:
        named, pieces = self._named(pairs), []
        for start in range(0, len(named), _PROBED_PARTS):
            part = named[start : start + _PROBED_PARTS]
            written = self._try_whole(dict(part))
            if written is not None:
                pieces.append(written[1:-1])
                continue
            for name, value in part:
                self._path.append(name)
                pieces.append(b"%b:%b" % (_scalar(name), self._write(value)))
                self._path.pop()
        return b"{%b}" % b",".join(pieces)

    def _try_whole(self, part: Any) -> bytes | None:
        if self._whole is None or len(self._open) > _PROBED_DEPTH:
            return None
        try:
            return self._whole(part)
        except Exception:  # noqa: BLE001  (met again when its parts are written)
            return None

    def _named(self, pairs: list[tuple[Any, Any]]) -> list[tuple[str, Any]]:
        """Each value under a name of its own: a key's text, as its value would be written."""
        names = {key for key, _ in pairs if type(key) is str}
        if len(names) == len(pairs):
            return pairs
        named: dict[str, Any] = {}
        others: Counter[str] = Counter()
        for key, value in pairs:
            name = key if type(key) is str else self._name(key)
            while name in named or (name in names and type(key) is not str):
                name = self._another_name(name, key, others)
            named[name] = value
        return list(named.items())

    def _name(self, key: Any) -> str:
        if type(key) is int:
            return str(key)
        self._path.append("key")
        written = self._write(key)
        self._path.pop()
        return json.loads(written) if written[:1] == b'"' else written.decode()

    def _another_name(self, name: str, key: Any, others: Counter[str]) -> str:
        other = f"{name} ({name_of_type(key)})"
        others[other] += 1
        if others[other] > 1:
            other = f"{other} {others[other]}"
        self._say(f"a key of type {name_of_type(key)} is written as {other!r}: there is another {name!r}")
        return other

    def _say(self, what: str) -> None:
        if len(self._converted) < MAX_CONVERTED:
            self._converted.append(Converted(self._where(), what))

    def _where(self, inner: str = "") -> str:
        path = ".".join([*self._path, *filter(None, [inner])]).replace(".[", "[")
        return path if len(path) <= 200 else f"{path[:120]}...{path[-60:]}"


def _scalar(value: str | float | None) -> bytes:
    """Text, a number, or true, false or null; raises ValueError for more digits than Python writes."""
    try:
        if not isinstance(value, float) or isfinite(value):
            return orjson.dumps(value)
    except TypeError:
        pass  # integers beyond 64 bits, lone surrogates: these travel as their JSON escapes
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
