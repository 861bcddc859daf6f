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
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from estela_queue_adapter.errors import SerializationError

MAX_ITERATED = 500_000  # elements of what has to be iterated, in one value: some never end
_SHORT = 1_000  # elements that `simpler` makes of one value; `parts_of` makes more, as far as it is allowed

Rule = Callable[[Any], Any]
"""Returns what stands for a value, or NotImplemented if the value is not its concern."""


class AsText(NamedTuple):
    """The text that stands for a value, if that is to be told."""

    text: str
    why: str
    """Such as `more digits than there may be`."""


_ABSENT = object()
name_of_class: Callable[[type], str] = type.__dict__["__name__"].__get__
_NUMBERS = frozenset({int, float, bool})
_COMPARED = _NUMBERS | {str, type(None)}
_TREES = frozenset({"bs4", "lxml", "email"})  # iterating gives children or names, which is not what they hold


def simpler(value: Any) -> Any:
    """What stands for `value`, one step nearer to JSON.

    NotImplemented for what only its elements or its `str()` can stand for: `parts_of` tells which. What fails
    while it is looked at is such a value as well. Uses up no iterator, so it may be asked twice for the same
    value, and makes little of little.
    """
    cls = type(value)
    try:
        rule = KNOWN.get(cls) or _FOUND.get(cls)
        if rule is None:
            rule = _FOUND[cls] = _rule_of(cls)
        return rule(value)
    except Exception:  # noqa: BLE001  (code of a foreign class)
        return NotImplemented


def parts_of(value: Any, most: int) -> Any:
    """A list, a dict or Pairs of what a value holds that `simpler` knows nothing of; uses up an iterator.

    NotImplemented if it holds nothing that can be had. Raises SerializationError if there is more than
    `most`, perhaps without end, and whatever the value raises while it is iterated.
    """
    try:
        cls = type(value)
        rule = _LONG.get(KNOWN.get(cls) or _FOUND.get(cls) or _unknown)
        if rule is not None:
            return rule(value, most)
        iterator = iter(value) if is_listed(value) else None
    except SerializationError:
        raise
    except Exception:  # noqa: BLE001  (it only looked like it)
        return NotImplemented
    return NotImplemented if iterator is None else elements_of(iterator, most, name_of_type(value))


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
    return name_of_class(type(value))


def is_listed(value: Any) -> bool:
    """Whether the elements stand for a value that `simpler` knows nothing of."""
    cls = type(value)
    found = _LISTED.get(cls)
    if found is None:
        found = getattr(cls, "__iter__", None) is not None and not issubclass(cls, (type, io.IOBase))
        found = _LISTED[cls] = found and not _libraries(cls) & _TREES
    return found


def elements_of(iterator: Iterable[Any], most: int, name: str) -> list[Any]:
    """All of them; raises SerializationError if there are more than `most`, perhaps without end."""
    elements = list(islice(iterator, most + 1))
    if len(elements) > most:
        raise _too_many(name)
    return elements


def _too_many(name: str) -> SerializationError:
    return SerializationError(f"a {name} gives more than {MAX_ITERATED:,} values")


def text_of_bytes(data: bytes | bytearray | memoryview) -> str:
    """Its UTF-8 text, or base64 if it is none."""
    held = bytes(data)
    try:
        return held.decode()
    except UnicodeDecodeError:
        return base64.b64encode(held).decode()


def _values_of_memory(value: memoryview) -> Any:
    """Text of bytes; of numbers, and of what has several dimensions, the numbers as they are nested."""
    return text_of_bytes(value) if value.ndim == 1 and value.format in "Bbc" else value.tolist()


def _size_of_memory(value: memoryview) -> int:
    """0 for what is no longer than what is there."""
    return 0 if value.contiguous and value.format in "Bbc" else value.nbytes // value.itemsize


def _time(value: Any) -> Any:
    """pandas' NaT is a datetime as well, and equals nothing."""
    return value.isoformat() if value == value else None


def _seconds(value: Any) -> Any:
    return value.total_seconds() if value == value else None


def _sorted(value: Any) -> Any:
    """Equal sets have one order: text, numbers, null. Others are sorted by their JSON, as it is written."""
    held = members_of(value)
    kinds = set(map(type, held))
    if not kinds <= _COMPARED or (float in kinds and any(one != one for one in held)):  # NaN
        return NotImplemented
    if len(kinds) == 1 or kinds <= _NUMBERS:
        return sorted(held)
    texts = sorted(one for one in held if type(one) is str)
    numbers = sorted(one for one in held if type(one) in _NUMBERS)
    return [*texts, *numbers, *(one for one in held if one is None)]


def members_of(value: Any) -> list[Any]:
    """What a set holds, whatever its class gives if it is iterated."""
    return list((set if isinstance(value, set) else frozenset).__iter__(value))


def _range(value: range) -> Any:
    return list(value) if value.__len__() <= _SHORT else NotImplemented


def _mapping(value: Any) -> Any:
    """A dict, if no name is in it twice."""
    pairs = list(islice(value.items(), _SHORT + 1))
    return NotImplemented if len(pairs) > _SHORT else _dict_of(pairs)


def _long_mapping(value: Any, most: int) -> Any:
    items = value.items()
    return _dict_of(elements_of(items, most, name_of_type(value)))


def _dict_of(pairs: list[tuple[Any, Any]]) -> Any:
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
    names = cls.model_fields if hasattr(cls, "model_fields") else cls.__fields__
    return {**_attributes(value, iter(names)), **extra_of_model(value)}


def extra_of_model(value: Any) -> dict[str, Any]:
    """What a pydantic model was given beyond its fields, if it allows that."""
    cls = type(value)
    if hasattr(cls, "model_fields"):
        return getattr(value, "__pydantic_extra__", None) or {}
    return {name: held for name, held in vars(value).items() if name not in cls.__fields__}


def _struct(value: Any) -> Any:
    return _attributes(value, iter(type(value).__struct_fields__))


def _attributes(value: Any, names: Iterator[str]) -> dict[str, Any]:
    return {name: held for name in names if (held := getattr(value, name, _ABSENT)) is not _ABSENT}


def _size(value: Any) -> int:
    size = getattr(value, "size", 0)
    return size if isinstance(size, int) else 0


def _values_of_array(value: Any) -> Any:
    """numpy's scalars and arrays, and what is like them: Python's own values, nested as the array is."""
    dtype: Any = getattr(value, "dtype", None)
    kind = getattr(dtype, "kind", "")
    if kind in ("M", "m"):
        return _times_of_array(value, kind)
    if names := getattr(dtype, "names", None):
        return list(value) if getattr(value, "shape", ()) else {name: value[name] for name in names}
    plain = value.tolist()
    if type(plain) is type(value):  # numbers longer than Python's
        return float(value) if kind == "f" else str(value)
    return plain


def _times_of_array(value: Any, kind: str) -> Any:
    """Times as text, as tolist() alone makes whole numbers of nanoseconds; durations as seconds."""
    is_array = getattr(value, "shape", ())
    try:
        plain = value.astype(str) if kind == "M" else value / value.dtype.type(1, "s")
    except TypeError:  # years and months have no length in seconds: the text of each
        return list(value) if is_array else NotImplemented
    if not is_array:
        return plain.tolist() if value == value else None
    held = plain.astype(object)
    held[value != value] = None  # NaT
    return held.tolist()


_LONG: dict[Rule, Callable[[Any, int], Any]] = {_mapping: _long_mapping}
"""What makes as many values as it is allowed, for each rule of `simpler` that makes few."""


def _sized(make: Rule, size: Callable[[Any], int] = _size) -> Rule:
    """A rule that makes little of little, and what makes much."""

    def rule(value: Any) -> Any:
        return NotImplemented if size(value) > _SHORT else make(value)

    def long_rule(value: Any, most: int) -> Any:
        if size(value) > most:
            raise _too_many(name_of_type(value))
        return make(value)

    _LONG[rule] = long_rule
    return rule


_array = _sized(_values_of_array)
_series = _sized(lambda value: value.tolist())
_frame = _sized(lambda value: value.to_dict("records"))
_memory = _sized(_values_of_memory, _size_of_memory)


def _nothing(_: Any) -> Any:
    return None


def _referent(value: Any) -> Any:
    """What a weak proxy stands for."""
    return value.__repr__.__self__


def _unknown(_: Any) -> Any:
    return NotImplemented


_BY_CLASS: tuple[tuple[type | tuple[type, ...], Rule], ...] = (
    (enum.Enum, lambda value: value.value),
    ((datetime.datetime, datetime.date, datetime.time), _time),
    (datetime.timedelta, _seconds),
    ((decimal.Decimal, fractions.Fraction, complex, uuid.UUID, pathlib.PurePath), str),
    ((ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network), str),
    ((bytes, bytearray), text_of_bytes),
    (memoryview, _memory),
    (float, float.__float__),
    ((set, frozenset), _sorted),
    (range, _range),
    (deque, lambda value: list(deque.__iter__(value))),
    (
        tuple,
        lambda value: list(tuple.__iter__(value)),
    ),  # as orjson does with a list: what it is, not what it gives
    ((weakref.ProxyType, weakref.CallableProxyType), _referent),
)
KNOWN: Mapping[type, Rule] = {
    base: rule
    for bases, rule in _BY_CLASS
    for base in (bases if isinstance(bases, tuple) else (bases,))
    if base is not enum.Enum
} | {  # these themselves need no more care
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: datetime.timedelta.total_seconds,
    deque: list,
}
"""The rules for these classes themselves; a subclass may be something else as well."""
_LISTED: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
_FOUND: WeakKeyDictionary[type, Rule] = WeakKeyDictionary()  # classes that are made at run time are freed


def _rule_of(cls: type) -> Rule:
    """The rule for a class, by what it is derived from and by what it has."""
    libraries = _libraries(cls)
    if "numpy" in libraries and hasattr(cls, "tolist"):  # some of its scalars are Python's numbers as well
        return _array
    for bases, rule in _BY_CLASS:
        if issubclass(cls, bases):
            return rule
    if "pandas" in libraries and (of_pandas := _of_pandas(cls)):
        return of_pandas
    if libraries & {"pydantic", "pydantic_core"}:  # a secret's str() hides it
        return _model if hasattr(cls, "model_fields") or hasattr(cls, "__fields__") else str
    return _by_what_it_has(cls)


def _of_pandas(cls: type) -> Rule | None:
    if name_of_class(cls) == "NAType":
        return _nothing
    if hasattr(cls, "columns"):
        return _frame
    return _series if hasattr(cls, "tolist") else None


def _by_what_it_has(cls: type) -> Rule:
    if issubclass(cls, type):  # a class is no value of itself
        return _unknown
    if dataclasses.is_dataclass(cls):
        return _dataclass
    for mark, rule in (("__attrs_attrs__", _attrs), ("__struct_fields__", _struct), ("tolist", _array)):
        if hasattr(cls, mark):
            return rule
    like_a_mapping = all(hasattr(cls, name) for name in ("keys", "items", "__getitem__"))
    return _mapping if like_a_mapping and not _libraries(cls) & _TREES else _unknown


def _libraries(cls: type) -> set[str]:
    return {str(base.__module__).partition(".")[0] for base in cls.__mro__}
