"""What is written for values that JSON has no word for."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import email.message
import enum
import io
import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import attrs
import msgspec
import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization.codec import Encoder, deserialize, serialize
from estela_queue_adapter.serialization.conversion import name_of_type
from estela_queue_adapter.serialization.writing import MAX_CONVERTED, Converted


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Account(pydantic.BaseModel):
    site: pydantic.HttpUrl
    password: pydantic.SecretStr
    token: pydantic.SecretBytes


@dataclasses.dataclass
class Box:
    holds: Any


@attrs.define
class Bag:
    holds: Any


class Crate(msgspec.Struct):
    holds: Any


class Basket:
    def __init__(self, *things: Any) -> None:
        self.things = things

    def __iter__(self) -> Iterator[Any]:
        return iter(self.things)


class Pairs(collections.UserDict[str, Any]):
    """A mapping that has a name several times, as multidicts do."""

    def items(self) -> Any:
        return [("a", n) for n in range(1, 4)]


class Hostile:
    """Everything about it raises, but for its class."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Unnamed(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Nameless(metaclass=Unnamed):
    def __str__(self) -> str:
        return "text"


class NotATime(datetime.datetime):
    """As pandas' NaT: a datetime that equals nothing."""

    __hash__ = datetime.datetime.__hash__

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True


class Precise(datetime.datetime):
    """As pandas' Timestamp, which has nanoseconds."""

    def isoformat(self, *_: Any) -> str:
        return f"{super().isoformat()}.000000001"


class PreciseDelta(datetime.timedelta):
    def total_seconds(self) -> float:
        return super().total_seconds() + 1e-9


class Lenient(pydantic.BaseModel, extra="allow"):
    name: str


class Unlooked(type):
    def __getattr__(cls, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Opaque(metaclass=Unlooked):
    def __str__(self) -> str:
        return "opaque"


class Growing(dict[str, int]):
    """Gives what it does not hold."""

    def items(self) -> Any:
        return ((str(n), n) for n in itertools.count())


class Repeating(tuple[int, ...]):
    __slots__ = ()

    def __iter__(self) -> Iterator[int]:
        return itertools.repeat(1)


class RepeatingSet(frozenset[int]):
    __slots__ = ()

    def __iter__(self) -> Iterator[int]:
        return itertools.repeat(1)


class UnreadyField:
    @property
    def __attrs_attrs__(self) -> Any:
        raise LookupError

    def __str__(self) -> str:
        return "unready"


class NotIterable:
    """Its class says that it can be iterated, and it cannot."""

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("not now")

    def __str__(self) -> str:
        return "as text"


HELD = Basket(1, 2)
OPAQUE = Opaque()


def written(value: Any) -> Any:
    return deserialize(serialize({"value": value}))["value"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (bytearray(b"ab"), "ab"),
        (memoryview(b"\xff"), "/w=="),
        (Colour.PAIR, [1, 2]),
        (Level.LOW, 1),
        (frozenset({2, 1}), [1, 2]),
        ({1.5, 1}, [1, 1.5]),
        ({"a", 1, None, (2, 3)}, ["a", 1, [2, 3], None]),
        ({datetime.date(2026, 1, 2), datetime.date(2026, 1, 1)}, ["2026-01-01", "2026-01-02"]),
        (Box(Bag(Crate(Basket(1, b"x")))), {"holds": {"holds": {"holds": [1, "x"]}}}),
        (array.array("i", [1, 2]), [1, 2]),
        (itertools.islice(itertools.count(), 3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.items(), [["a", 1]]),
        (Pairs(), {"a": 1, "a (str)": 2, "a (str) 2": 3}),
        (type("Text", (str,), {"__str__": lambda self: "other"})("text"), "text"),
        (type("Number", (float,), {})(1.5), 1.5),
        (Colour, "<enum 'Colour'>"),
        (NotATime(1, 1, 1), None),
        (Precise(2026, 1, 2), "2026-01-02T00:00:00.000000001"),
        (PreciseDelta(seconds=1), 1.000000001),
        (np.datetime64("NaT", "ns"), None),
        (np.timedelta64("NaT", "ns"), None),
        (np.array(["2026-01-31", "NaT"], dtype="datetime64[D]"), ["2026-01-31", None]),
        (np.array([[1, "NaT"]], dtype="timedelta64[s]"), [[1.0, None]]),
        (np.timedelta64(3, "Y"), "3 years"),
        (np.array([3, 4], dtype="timedelta64[M]"), ["3 months", "4 months"]),
        (weakref.proxy(HELD), [1, 2]),
        (weakref.proxy(OPAQUE), "opaque"),
        (OPAQUE, "opaque"),
        (UnreadyField(), "unready"),
        (NotIterable(), "as text"),
        (Growing(a=1), {"a": 1}),
        (Repeating((1, 2)), [1, 2]),
        (RepeatingSet({1, 2}), [1, 2]),
        (range(3), [0, 1, 2]),
        (range(2_000), list(range(2_000))),
        (np.arange(2_000), list(range(2_000))),
        (email.message.EmailMessage(), "\n"),
        (memoryview(array.array("i", [1, 2])), [1, 2]),
        (memoryview(b"abcd").cast("B", (2, 2)), [[97, 98], [99, 100]]),
        (Lenient.model_validate({"name": "a", "colour": b"red"}), {"name": "a", "colour": "red"}),
        ({"b", 2, "a", 1.5, None}, ["a", "b", 1.5, 2, None]),
        (Nameless(), "text"),
        (
            Account.model_validate({"site": "http://a.example/", "password": "hush", "token": b"hush"}),
            {"site": "http://a.example/", "password": "**********", "token": "b'**********'"},
        ),
        (np.int64(3), 3),
        (np.float64(1.5), 1.5),
        (np.bool_(True), True),
        (np.longdouble(1.5), 1.5),
        (np.complex64(1j), "1j"),
        (np.str_("text"), "text"),
        (np.bytes_(b"text"), "text"),
        (np.array(7), 7),
        (np.datetime64("2026-01-31T09:30:00.000000001"), "2026-01-31T09:30:00.000000001"),
        (np.array(["2026-01-31"], dtype="datetime64[D]"), ["2026-01-31"]),
        (np.array([1500, 90], dtype="timedelta64[ms]"), [1.5, 0.09]),
        (np.array([(1, "a")], dtype=[("n", "i4"), ("s", "U1")]), [{"n": 1, "s": "a"}]),
        (np.array([{"x": b"y"}, None], dtype=object), [{"x": "y"}, None]),
        (np.ma.masked_array([1, 2], mask=[False, True]), [1, None]),
        ({True: 1, None: 2, 1.5: 3, Colour.RED: 4}, {"true": 1, "null": 2, "1.5": 3, "red": 4}),
        ({datetime.date(2026, 1, 1): 1, np.int64(7): 2}, {"2026-01-01": 1, "7": 2}),
        ({1: 0, "1": 1, "1 (int)": 2}, {"1": 1, "1 (int)": 2, "1 (int) (int)": 0}),
        ({1: "a", "1": "b", b"1": "c"}, {"1 (int)": "a", "1": "b", "1 (bytes)": "c"}),
    ],
    ids=name_of_type,
)  # fmt: skip
def test_a_value_is_written_as_what_it_stands_for(value: Any, expected: Any) -> None:
    assert written(value) == expected


@pytest.mark.parametrize(
    "neighbour", [1, None, {1: 2}, 2**70, "\ud800", object()], ids=lambda value: type(value).__name__
)
def test_an_iterator_is_used_up_once_whatever_stands_beside_it(neighbour: Any) -> None:
    """Given values that orjson refuses after it has met the iterator."""
    item = {"a": [(n for n in range(3))], "b": neighbour, "c": Box(iter([b"x"]))}

    found = deserialize(serialize(item))

    assert (found["a"], found["c"]) == ([[0, 1, 2]], {"holds": ["x"]})


def test_what_only_its_str_stands_for_is_told_with_its_place() -> None:
    converted: list[Converted] = []

    Encoder().encode({"a": [1, {"b": ValueError("x")}], "c": {1: 0, "1": 0}, "d": b"x"}, converted)

    assert converted == [
        ("a[1].b", "a value of type ValueError is written as its str()"),
        ("c", "a key of type int is written as '1 (int)': there is another '1'"),
    ]


def test_of_very_many_conversions_some_are_told() -> None:
    converted: list[Converted] = []

    Encoder().encode([ValueError()] * 1_000, converted)

    assert len(converted) == MAX_CONVERTED


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
ODD = SIMPLE | st.one_of(
    st.datetimes(), st.timedeltas(), st.decimals(), st.fractions(), st.complex_numbers(), st.uuids(),
    st.ip_addresses(), st.builds(object), st.sampled_from([Colour.RED, Level.LOW, Colour, io.BytesIO()]),
    st.frozensets(SIMPLE, max_size=3), st.builds(Hostile), st.just(np.float32(1.5)), st.characters(),
)  # fmt: skip
KEYS = SIMPLE | st.dates() | st.frozensets(st.integers(), max_size=3) | st.tuples(st.text(max_size=3))
VALUES = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.builds(Box, inner)
        | st.builds(Basket, inner, inner)
        | st.builds(iter, st.lists(inner, max_size=3))
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(VALUES)
def test_any_value_is_json_or_an_error_of_ours(value: Any) -> None:
    try:
        found = deserialize(serialize([value]))
    except SerializationError:
        return
    if isinstance(value, dict):
        assert len(found[0]) == len(value)  # no key has taken another one's place


@given(st.sets(SIMPLE, max_size=6))
def test_equal_sets_are_written_alike(values: set[Any]) -> None:
    backwards = list(values)[::-1]

    assert serialize([values]) == serialize([set(backwards)])
    assert serialize([frozenset(backwards), 2**70]) == serialize([values, 2**70])


def test_a_function_for_json_is_asked_first_and_leaves_what_it_does_not_know() -> None:
    def default(value: Any) -> Any:
        if isinstance(value, Box):
            return "a box"
        raise TypeError

    assert written({"a": 1}) == {"a": 1}
    assert deserialize(serialize([Box(1), b"x", {1: Box(2)}], default)) == ["a box", "x", {"1": "a box"}]


def test_an_integer_has_all_its_digits_though_python_writes_fewer() -> None:
    digits = "7" * 6_000
    value = int(digits[:3_000]) * 10**3_000 + int(digits[3_000:])

    assert serialize({"n": value, "k": {value: 1}}) == f'{{"n":{digits},"k":{{"{digits}":1}}}}'.encode()
