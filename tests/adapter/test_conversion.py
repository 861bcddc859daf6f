"""What is written for values that JSON has no word for."""

from __future__ import annotations

import array
import asyncio
import collections
import contextlib
import dataclasses
import datetime
import email.message
import enum
import io
import itertools
import json
import time
import weakref
from collections.abc import Callable, Iterator
from decimal import Decimal
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
from estela_queue_adapter.serialization.conversion import MAX_ITERATED, name_of_type
from estela_queue_adapter.serialization.writing import MAX_CONVERTED, MAX_SINGLE, Converted, Unwritable


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
        (np.datetime64("NaT"), None),
        (np.timedelta64("NaT"), None),
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


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {"children": []}
    value["children"].append({"parent": value})
    return value


def raises_midway() -> Iterator[int]:
    yield 1
    raise ValueError("no more")


class Endless:
    """Each of its elements is one more of its kind."""

    def __iter__(self) -> Iterator[Any]:
        yield Endless()


class EndlessMapping(collections.UserDict[str, int]):
    def items(self) -> Any:
        return ((str(n), n) for n in itertools.count())


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (circular(), r"^value\.children\[0\]\.parent: contains itself$"),
        (nested(100_000), r"^value[\[\]0.]+: nested too deeply$"),
        (Endless(), r"nested too deeply$"),
        ([raises_midway()], r"^value\[0\]: ValueError: no more$"),
        (itertools.count(), r"^value: a count gives more than 500,000 values$"),
        (itertools.cycle([itertools.repeat(1)]), "gives more than 500,000 values$"),
        (EndlessMapping(), r"^value: a EndlessMapping gives more than 500,000 values$"),
        (Hostile(), r"^value: RuntimeError: no "),
        ({"x": [Hostile()]}, r"^value\.x\[0\]: RuntimeError"),
        ({(1, Hostile()): 1}, r"^value\.key\[1\]: RuntimeError"),
        (10**20_001, r"^value: an integer of more than 20,000 digits$"),
        (range(10**9), r"^value: a range gives more than 500,000 values$"),
        ([range(1), *[range(200_000 + n) for n in range(3)]], "gives more than 500,000 values$"),
        (np.broadcast_to(0, (10**9,)), r"^value: a ndarray gives more than 500,000 values$"),
        (memoryview(np.broadcast_to(np.uint8(0), (10**9,)).data), "gives more than 500,000 values$"),
        ([range(400_000)] * 1_000, "gives more than 500,000 values$"),
        (range(10**30), r"^value: a range gives more than 500,000 values$"),
    ],
    ids=name_of_type,
)
def test_what_cannot_be_written_is_an_error_that_says_where_and_why(value: Any, told: str) -> None:
    with pytest.raises(Unwritable, match=told):
        serialize({"first": 1, "value": value, "last": None})


@pytest.mark.parametrize("care", [1, object()], ids=["whole", "piece by piece"])
def test_a_value_may_be_nested_as_deeply_as_orjson_takes_it(care: Any) -> None:
    assert serialize({"value": nested(200), "care": care, 1: 2})


@pytest.mark.parametrize("length", [3, 1_000, 1_001, 2_500])
def test_a_long_value_is_written_whole_though_a_part_of_it_needs_care(length: int) -> None:
    for value in ([{1: n} for n in range(length)], {f"k{n}": [n, 2**70] for n in range(length)}):
        found = written(value)

        assert len(found) == length
        assert found == json.loads(json.dumps(value))


def test_the_field_of_a_huge_value_is_found_while_it_is_written() -> None:
    """The search takes no time of its own: it all takes a few times what writing takes."""
    rows: dict[str, Any] = {f"k{n}": [{"n": m, "text": "x" * 20} for m in range(100)] for n in range(2_000)}
    began = time.process_time()
    serialize(rows)
    plain = time.process_time() - began

    rows["k1999"].append({"value": Hostile()})
    began = time.process_time()
    with pytest.raises(Unwritable, match=r"^k1999\[100\]\.value: "):
        serialize(rows)

    assert time.process_time() - began < 10 * plain + 0.2


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


def test_iterators_have_a_limit_together() -> None:
    half = MAX_ITERATED // 2 + 1

    with pytest.raises(Unwritable, match="gives more than"):
        serialize([iter([0] * half), iter([0] * half)])


def test_an_integer_has_all_its_digits_though_python_writes_fewer() -> None:
    digits = "7" * 6_000
    value = int(digits[:3_000]) * 10**3_000 + int(digits[3_000:])

    assert serialize({"n": value, "k": {value: 1}}) == f'{{"n":{digits},"k":{{"{digits}":1}}}}'.encode()


@pytest.mark.parametrize("stop", [asyncio.CancelledError, GeneratorExit])
def test_an_exception_of_any_kind_is_an_error_that_says_where(stop: type[BaseException]) -> None:
    class Stopping:
        def __str__(self) -> str:
            raise stop("no more")

    with pytest.raises(Unwritable, match=rf"^a\[1\]: {stop.__name__}: no more$"):
        serialize({"a": [1, Stopping()], "b": {1: 2}})


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_does_so(stop: type[BaseException]) -> None:
    class Stopping:
        def __str__(self) -> str:
            raise stop

    with pytest.raises(stop):
        serialize({"a": Stopping()})


def test_what_fails_halfway_fails_though_it_is_met_again() -> None:
    """Given an iterator that is written with its neighbours at first, and then by itself."""
    half_used = raises_midway()

    with pytest.raises(Unwritable, match=r"^\[0\]: ValueError: no more$"):
        serialize([half_used, half_used, *range(5_000)])


class Unfit:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def levels(value: Any, count: int) -> Any:
    for _ in range(count):
        value = {"in": value, "beside": 1}
    return value


def failing() -> Any:
    rows: list[Any] = [{"n": n, "text": "text", "price": 1.5} for n in range(50_000)]
    rows[-1]["price"] = Unfit()
    return levels(rows, 8)


@pytest.mark.parametrize(
    "make",
    [
        failing,
        lambda: [n if n % 100 else iter([n]) for n in range(100_000)],
        lambda: {*range(50_000), *map(str, range(50_000))},
    ],
    ids=["a bad field deep down", "a few iterators", "a mixed set"],
)
def test_an_odd_item_takes_a_few_times_what_a_plain_one_takes(make: Callable[[], Any]) -> None:
    """Given values that took twenty to eighty times as long when they were looked at one by one."""
    plain = {"rows": [{"n": n, "text": "text", "price": 1.5} for n in range(200_000)]}
    began = time.process_time()
    serialize(plain)
    allowed = 5 * (time.process_time() - began) + 0.05
    value = make()

    began = time.process_time()
    with contextlib.suppress(Unwritable):
        serialize({"value": value})

    assert time.process_time() - began < allowed


def test_what_has_to_be_written_one_by_one_has_a_limit() -> None:
    fits = {"rows": [{b"k": Decimal(n)} for n in range(1_000)]}
    too_many = {"rows": [{b"k": None} for _ in range(MAX_SINGLE)]}

    assert len(written(fits)["rows"]) == 1_000
    with pytest.raises(
        Unwritable, match=r"^rows\[\d+\]\.key: more than 200,000 values have to be written one by one$"
    ):
        serialize(too_many)
