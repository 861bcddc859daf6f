"""JSON piece by piece: for what cannot be written as a whole, and to say where and why it cannot."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal
from math import isfinite, log2
from typing import Any, NamedTuple

import orjson

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization.conversion import (
    MAX_ITERATED,
    AsText,
    Pairs,
    Rule,
    members_of,
    name_of_type,
    parts_of,
    simpler,
)

MAX_DEPTH = 254  # levels, as orjson has it; MongoDB takes 100
MAX_CONVERTED = 100  # that are reported of one value
MAX_DIGITS = 20_000  # of an integer: ten times as many take a hundred times as long
MAX_SINGLE = 200_000  # values that are written one by one; so many are too long for a message almost always

_SCALARS = frozenset({str, int, float, bool, type(None)})
_OF_TYPES = (orjson.Fragment, AsText)
_LONGEST_PLAIN = 62  # bits of an integer that is of no type but JSON's
_PROBED_DEPTH = 8  # levels in which parts are tried as a whole: each level may read all that is below it
_PROBED_PARTS = 1_000  # parts that are tried together
_FEW_PARTS = 16  # that are tried together in one of four levels only


class Converted(NamedTuple):
    """Something that is written, but not as it was."""

    where: str
    """Such as `price.amounts[3]`."""
    what: str


class Unwritable(SerializationError):
    """A value that cannot be written: `where` it stands in what was to be written, and why."""

    def __init__(self, where: str, error: BaseException) -> None:
        self.where = where
        self.error = error
        self.reason = _reason_of(error)
        super().__init__(f"{where}: {self.reason}" if where else self.reason)

    @property
    def kind(self) -> str:
        """The reason without what is this value's alone."""
        own = isinstance(self.error, (SerializationError, RecursionError))
        return self.reason if own else name_of_type(self.error)


def _reason_of(error: BaseException) -> str:
    """An error of somebody else's code, of which nothing is sure, in words."""
    if isinstance(error, SerializationError):
        return str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    name = name_of_type(error)
    try:
        text = str(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001  (its text fails as well)
        return name
    return f"{name}: {text}" if text else name


class _Failure(NamedTuple):
    error: BaseException


class Writer:
    """Writes one value, once.

    `whole` writes a part, given what is to be done about values that JSON has no word for, or raises; without
    it, each value is looked at. `simpler` returns what stands for a value, or NotImplemented, and is asked
    once for each value. `types` knows which integers are more than JSON's; keys are text whatever it knows.
    """

    def __init__(
        self,
        whole: Callable[[Any, Rule], bytes] | None,
        simpler: Rule,
        converted: list[Converted] | None,
        types: Rule | None = None,
    ) -> None:
        self._whole = whole
        self._simpler = simpler
        self._types = types
        self._in_key = False
        self._converted = converted
        self._path: list[str | int] = []
        self._open: set[int] = set()  # the ids of what is being written: none may be inside itself
        self._met: dict[int, tuple[Any, Any]] = {}  # by id: a value, and what stands for it
        self._texts: dict[int, str] = {}  # by id as well: what is written as its str()
        self._iterable = MAX_ITERATED
        self._given = 10 * MAX_ITERATED  # as what was iterated may be met, and be written, several times
        self._single = MAX_SINGLE

    def encode(self, value: Any) -> bytes:
        """The value as JSON; raises Unwritable."""
        try:
            return self._write(value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if isinstance(error, Unwritable):
                raise Unwritable(self._where(error.where), error.error) from error
            raise Unwritable(self._where(), error) from error

    def _write(self, value: Any) -> bytes:
        if type(value) in _SCALARS:
            return self._scalar(value)
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
        cls = type(value)
        if not issubclass(cls, enum.Enum):
            if issubclass(cls, dict):
                return self._object(list(dict.items(value)))  # what it holds, as orjson has it
            if issubclass(cls, list):
                return self._array(list.__getitem__(value, slice(None)))
            if issubclass(cls, str):
                return _scalar(str.__str__(value))
            if issubclass(cls, int):
                return self._integer(value)
        found = self._stand_in(value)
        if isinstance(found, Pairs):
            return self._object(found.pairs)
        if type(found) is orjson.Fragment:
            return orjson.dumps(found)
        if type(found) is AsText:
            return self._as_text(value, found)
        if found is not NotImplemented:
            return self._write(found)
        if issubclass(cls, (set, frozenset)):
            return self._set(members_of(value))
        self._say(f"a value of type {name_of_type(value)} is written as its str()")
        return _scalar(self._text(value))

    def _scalar(self, value: str | float | None) -> bytes:
        return self._integer(value) if type(value) is int else _scalar(value)

    def _integer(self, value: int) -> bytes:
        plain = _scalar(int.__int__(value))  # of one that is too long this raises
        if self._types is None or self._in_key:
            return plain
        found = self._types(value)
        if type(found) is orjson.Fragment:
            return orjson.dumps(found)
        return self._as_text(value, found) if type(found) is AsText else plain

    def _as_text(self, value: Any, found: AsText) -> bytes:
        self._say(f"a value of type {name_of_type(value)} is written as its text: it has {found.why}")
        return _scalar(found.text)

    def _stand_in(self, value: Any) -> Any:
        """What stands for a value, which is asked for once; NotImplemented for a set, or if its text does."""
        met = self._met.get(id(value))
        if met is None:
            met = self._met[id(value)] = (value, self._found_for(value))  # kept, so that its id is its own
        if isinstance(met[1], _Failure):
            raise met[1].error
        self._given -= _length(met[1])
        if self._given < 0:
            raise SerializationError(f"gives more than {MAX_ITERATED:,} values")
        if self._in_key and type(met[1]) in _OF_TYPES:
            return simpler(value)
        return met[1]

    def _found_for(self, value: Any) -> Any:
        """What stands for it, or why nothing does: half of an iterator may be used up then."""
        try:
            found = self._simpler(value)
            if found is NotImplemented and not issubclass(type(value), (set, frozenset)):
                found = parts_of(value, self._iterable)
                if found is not NotImplemented:
                    self._iterable -= _length(found)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  (raised whenever the value is met)
            return _Failure(error)
        return found

    def _stand_in_of_all(self, value: Any) -> Any:
        """The same for whoever writes a part as a whole: raises for what must be looked at by itself."""
        found = self._stand_in(value)
        if isinstance(found, Pairs):
            raise TypeError
        if type(found) is AsText:
            if self._is_telling:
                raise TypeError
            return found.text
        if found is not NotImplemented:
            return found
        if issubclass(type(value), (set, frozenset)):
            members = members_of(value)
            scalars = _SCALARS.issuperset(map(type, members))
            return sorted(members, key=_scalar if scalars else self._whole_one)
        if self._is_telling:
            raise TypeError
        return self._text(value)

    @property
    def _is_telling(self) -> bool:
        """Whether more of what is converted is to be told."""
        return self._converted is not None and len(self._converted) < MAX_CONVERTED

    def _whole_one(self, value: Any) -> bytes:
        if self._whole is None:
            raise TypeError
        return self._whole(value, self._stand_in_of_all)

    def _text(self, value: Any) -> str:
        text = self._texts.get(id(value))
        if text is None:
            text = self._texts[id(value)] = str.__str__(str(value))
        return text

    def _set(self, values: list[Any]) -> bytes:
        if _SCALARS.issuperset(map(type, values)):
            return b"[%b]" % b",".join(sorted(map(self._scalar, values)))
        self._count(len(values), 0)
        return b"[%b]" % b",".join(sorted(map(self._write, values)))

    def _count(self, number: int, first: str | int) -> None:
        """Count values that are written one by one; raises SerializationError if they are too many."""
        self._single -= number
        if self._single < 0:
            self._path.append(first)
            raise SerializationError(f"more than {MAX_SINGLE:,} values have to be written one by one")

    def _array(self, values: list[Any]) -> bytes:
        pieces = []
        for start in range(0, len(values), _PROBED_PARTS):
            part = values[start : start + _PROBED_PARTS]
            written = self._try_whole(part, part)
            if written is not None:
                pieces.append(written[1:-1])
                continue
            self._count(len(part), start)
            for number, value in enumerate(part, start):
                self._path.append(number)
                pieces.append(self._write(value))
                self._path.pop()  # not if it fails: then the path says where
        return b"[%b]" % b",".join(pieces)

    def _object(self, pairs: list[tuple[Any, Any]]) -> bytes:
        named, pieces = self._named(pairs), []
        for start in range(0, len(named), _PROBED_PARTS):
            part = dict(named[start : start + _PROBED_PARTS])
            written = self._try_whole(part, part.values())
            if written is not None:
                pieces.append(written[1:-1])
                continue
            self._count(len(part), next(iter(part)))
            for name, value in part.items():
                self._path.append(name)
                pieces.append(b"%b:%b" % (_scalar(name), self._write(value)))
                self._path.pop()
        return b"{%b}" % b",".join(pieces)

    def _try_whole(self, part: Any, values: Collection[Any]) -> bytes | None:
        try:
            if _SCALARS.issuperset(map(type, values)):
                return _plain(part) if self._types is None or self._in_key else _plain_typed(part, values)
            level = len(self._open) - 1
            if (
                self._whole is None
                or self._in_key
                or level > _PROBED_DEPTH
                or (level % 4 and len(values) < _FEW_PARTS)
            ):
                return None
            return self._whole(part, self._stand_in_of_all)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001  (met again when its parts are written)
            return None

    def _named(self, pairs: list[tuple[Any, Any]]) -> list[tuple[str, Any]]:
        """Each value under a name of its own: a key's text, as its value would be written."""
        names = {key for key, _ in pairs if type(key) is str}
        if len(names) == len(pairs):
            return pairs
        if all(type(key) is int for key, _ in pairs):
            return [(_scalar(key).decode(), value) for key, value in pairs]
        self._count(len(pairs) - len(names), "key")
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
            return _scalar(key).decode()
        self._path.append("key")
        before, self._in_key = self._in_key, True
        written = self._write(key)
        self._in_key = before
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
        if self._converted is not None and len(self._converted) < MAX_CONVERTED:
            self._converted.append(Converted(self._where(), what))

    def _where(self, inner: str = "") -> str:
        steps = [f"[{step}]" if isinstance(step, int) else step for step in self._path]
        path = ".".join([*steps, *filter(None, [inner])]).replace(".[", "[")
        return path if len(path) <= 200 else f"{path[:120]}...{path[-60:]}"


def _length(found: Any) -> int:
    if isinstance(found, Pairs):
        return len(found.pairs)
    return len(found) if type(found) in (list, dict) else 0


def _plain(values: Any) -> bytes:
    """A list or an object of nothing but scalars."""
    try:
        encoded = orjson.dumps(values)
        if b"null" not in encoded:
            return encoded
    except TypeError:
        pass  # integers beyond 64 bits, lone surrogates: these travel as their JSON escapes
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def _plain_typed(values: Any, parts: Collection[Any]) -> bytes | None:
    """The same; None if an integer in it may be of a type of its own."""
    if any(type(part) is int and part.bit_length() > _LONGEST_PLAIN for part in parts):
        return None
    return _plain(values)


def _scalar(value: str | float | None) -> bytes:
    """Text, a number, or true, false or null; raises SerializationError for too many digits."""
    try:
        if not isinstance(value, float) or isfinite(value):
            return orjson.dumps(value)
    except TypeError:
        pass
    if type(value) is int:
        return _digits(value)
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")


def _digits(value: int) -> bytes:
    """All of them: Python itself writes 4,300 at most, unless it is told otherwise."""
    if value.bit_length() > MAX_DIGITS * log2(10):
        raise SerializationError(f"an integer of more than {MAX_DIGITS:,} digits")
    return format(Decimal(value), "f").encode()
