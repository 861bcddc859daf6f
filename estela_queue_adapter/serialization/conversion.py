"""What is written for values that JSON has no word for: one rule for each kind of value.

A rule takes one step: what it returns may need a rule again. Libraries are known by their names, and none of
them is imported. docs/items.md has the same as a table.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import ipaddress
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

from estela_queue_adapter.errors import SerializationError

MAX_ITERATED = 500_000  # elements of what has to be iterated, in one value: some never end

Rule = Callable[[Any], Any]
"""Returns what stands for a value, or NotImplemented if the value is not its concern."""

_ABSENT = object()
_NAME: Callable[[type], str] = type.__dict__["__name__"].__get__
_NUMBERS = frozenset({int, float, bool})
_TREES = frozenset({"bs4", "lxml"})  # iterating over a node gives its children, which is not what it holds


def simpler(value: Any) -> Any:
    """What stands for `value`, one step nearer to JSON.

    NotImplemented for what only its elements or its `str()` can stand for. Uses up no iterator, so it may be
    asked twice for the same value.
    """
    cls = type(value)
    rule = KNOWN.get(cls) or _FOUND.get(cls)
    if rule is None:
        rule = _FOUND[cls] = _rule_of(cls)
    return rule(value)


def rule_of_function(function: Callable[[Any], Any]) -> Rule:
    """A function such as the standard library's json takes for `default` as a rule.

    It leaves a value to others if it returns it, returns NotImplemented or raises TypeError.
    """

    def rule(value: Any) -> Any:
        try:
            found = function(value)
        except TypeError:
            return NotImplemented
        return NotImplemented if found is value else found

    return rule


def name_of_type(value: Any) -> str:
    """The name of its class, whatever its metaclass makes of that."""
    return _NAME(type(value))


def is_listed(value: Any) -> bool:
    """Whether the elements stand for a value that `simpler` knows nothing of."""
    cls = type(value)
    if isinstance(value, (type, io.IOBase)) or _libraries(cls) & _TREES:
        return False
    return getattr(cls, "__iter__", None) is not None


def elements_of(value: Iterable[Any], most: int) -> list[Any]:
    """All of them; raises SerializationError if there are more than `most`, perhaps without end."""
    elements = list(islice(value, most + 1))
    if len(elements) > most:
        raise SerializationError(f"a {name_of_type(value)} gives more than {MAX_ITERATED:,} values")
    return elements


def text_of_bytes(data: bytes | bytearray | memoryview) -> str:
    """Its UTF-8 text, or base64 if it is none."""
    held = bytes(data)
    try:
        return held.decode()
    except UnicodeDecodeError:
        return base64.b64encode(held).decode()


def _sorted(value: Any) -> Any:
    """Equal sets have one order. What cannot be compared is sorted by its JSON, by whoever writes it."""
    kinds = set(map(type, value))
    if kinds <= {str} or (kinds <= _NUMBERS and all(number == number for number in value)):  # not NaN
        return sorted(value)
    return NotImplemented


def _mapping(value: Any) -> Any:
    """A dict, if no name is in it twice."""
    pairs = elements_of(value.items(), MAX_ITERATED)
    found = dict(pairs)
    return found if len(found) == len(pairs) else Pairs(pairs)


class Pairs:
    """What a mapping holds, if it may hold a name several times."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        self.pairs = pairs


def _dataclass(value: Any) -> Any:
    return _attributes(value, (field.name for field in dataclasses.fields(value)))


def _attrs(value: Any) -> Any:
    return _attributes(value, (field.name for field in type(value).__attrs_attrs__))


def _model(value: Any) -> Any:
    """A pydantic model, of either major version."""
    cls = type(value)
    return _attributes(value, iter(cls.model_fields if hasattr(cls, "model_fields") else cls.__fields__))


def _struct(value: Any) -> Any:
    return _attributes(value, iter(type(value).__struct_fields__))


def _attributes(value: Any, names: Iterator[str]) -> dict[str, Any]:
    return {name: held for name in names if (held := getattr(value, name, _ABSENT)) is not _ABSENT}


def _array(value: Any) -> Any:
    """numpy's scalars and arrays, and what is like them: Python's own values, nested as the array is."""
    dtype: Any = getattr(value, "dtype", None)
    kind = getattr(dtype, "kind", "")
    if kind == "M":
        return value.astype(str).tolist()  # tolist() alone makes whole numbers of nanoseconds
    if kind == "m":
        return (value / dtype.type(1, "s")).tolist()
    if names := getattr(dtype, "names", None):
        return list(value) if getattr(value, "shape", ()) else {name: value[name] for name in names}
    plain = value.tolist()
    if type(plain) is type(value):  # numbers longer than Python's
        return float(value) if kind == "f" else str(value)
    return plain


def _frame(value: Any) -> Any:
    return value.to_dict("records")


def _unknown(_: Any) -> Any:
    return NotImplemented


_BY_CLASS: tuple[tuple[type | tuple[type, ...], Rule], ...] = (
    (enum.Enum, lambda value: value.value),
    (datetime.datetime, datetime.datetime.isoformat),
    (datetime.date, datetime.date.isoformat),
    (datetime.time, datetime.time.isoformat),
    (datetime.timedelta, datetime.timedelta.total_seconds),
    ((decimal.Decimal, fractions.Fraction, complex, uuid.UUID, pathlib.PurePath), str),
    ((ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network), str),
    ((bytes, bytearray, memoryview), text_of_bytes),
    (float, float.__float__),
    ((set, frozenset), _sorted),
    ((deque, range, tuple), list),
)
KNOWN: Mapping[type, Rule] = {
    base: rule
    for bases, rule in _BY_CLASS
    for base in (bases if isinstance(bases, tuple) else (bases,))
    if base is not enum.Enum
}
"""The rules for these classes themselves; a subclass may be something else as well."""
_FOUND: WeakKeyDictionary[type, Rule] = WeakKeyDictionary()  # classes that are made at run time are freed


def _rule_of(cls: type) -> Rule:
    """The rule for a class, by what it is derived from and by what it has."""
    libraries = _libraries(cls)
    if "numpy" in libraries and hasattr(cls, "tolist"):  # some of its scalars are Python's numbers as well
        return _array
    for bases, rule in _BY_CLASS:
        if issubclass(cls, bases):
            return rule
    if "pandas" in libraries and hasattr(cls, "columns"):
        return _frame
    if libraries & {"pydantic", "pydantic_core"}:  # a secret's str() hides it
        return _model if hasattr(cls, "model_fields") or hasattr(cls, "__fields__") else str
    return _by_what_it_has(cls)


def _by_what_it_has(cls: type) -> Rule:
    if issubclass(cls, type):  # a class is no value of itself
        return _unknown
    if dataclasses.is_dataclass(cls):
        return _dataclass
    for mark, rule in (("__attrs_attrs__", _attrs), ("__struct_fields__", _struct), ("tolist", _array)):
        if hasattr(cls, mark):
            return rule
    return _mapping if issubclass(cls, Mapping) else _unknown


def _libraries(cls: type) -> set[str]:
    return {str(base.__module__).partition(".")[0] for base in cls.__mro__}
