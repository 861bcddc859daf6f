from __future__ import annotations

import datetime
import enum
import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization import deserialize, serialize

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


def same(one: Any, other: Any) -> bool:
    """Equality in which NaN equals itself."""
    return repr(one) == repr(other)


@given(VALUES)
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    assert same(deserialize(serialize(value)), value)


@given(VALUES)
def test_what_other_programs_write_is_read_as_json_says(value: Any) -> None:
    assert same(deserialize(json.dumps(value).encode()), value)


@given(st.binary())
def test_any_bytes_are_a_value_or_a_serialization_error(data: bytes) -> None:
    try:
        deserialize(data)
    except SerializationError as error:
        assert str(error).startswith("not ") or "deeply" in str(error)  # noqa: PT017  (both ends are fine)


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40])
def test_integers_keep_every_digit(number: int) -> None:
    padding = "x" * (number % 7)

    assert deserialize(json.dumps({padding: [number, "a"]}).encode()) == {padding: [number, "a"]}
    assert deserialize(serialize({"n": number})) == {"n": number}


@given(
    st.lists(st.integers(-(10**25), 10**25) | st.integers() | st.floats(allow_nan=False) | st.text("19-., "))
)
def test_a_number_is_found_wherever_it_stands(values: list[Any]) -> None:
    for separators in ((",", ":"), (" , ", " : "), ("\n,\t", "\r:\n")):
        for value in (values, dict(enumerate(values)), values[0] if values else 10**19):
            data = json.dumps(value, separators=separators).encode()

            assert same(deserialize(data), json.loads(data))


def test_not_a_number_is_not_null() -> None:
    assert serialize([math.nan, None, math.inf]) == b"[NaN,null,Infinity]"


def test_bytes_are_taken_for_json_already() -> None:
    assert serialize(b'{"a":1}') == b'{"a":1}'


def test_dates_decimals_and_sets_are_written_as_estela_writes_them() -> None:
    value = {
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001  (scraped times often have no zone)
        "on": datetime.date(2026, 1, 2),
        "price": Decimal("1.10"),
        "tags": {"a"},
        "nothing": None,
    }

    assert deserialize(serialize(value)) == {
        "at": "2026-01-02T03:04:05.000006",
        "on": "2026-01-02",
        "price": "1.10",
        "tags": ["a"],
        "nothing": None,
    }


def test_lone_surrogates_survive_as_escapes() -> None:
    assert deserialize(serialize({"a": "x\ud800"})) == {"a": "x\ud800"}


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_deep_nesting_is_an_error_and_no_crash(data: bytes) -> None:
    with pytest.raises(SerializationError):
        deserialize(data)


def test_a_value_that_contains_itself_is_an_error() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(SerializationError):
        serialize(value)


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        uuid.UUID(int=7),
        datetime.datetime(1900, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(seconds=1172))),
        datetime.time(1, 2, tzinfo=datetime.timezone.utc),
        Decimal("1.10"),
        frozenset({1}),
        (1, 2),
        {"a": "\ud83d\ude00"},
    ],
    ids=repr,
)
def test_a_value_is_written_alike_whatever_stands_beside_it(value: Any) -> None:
    alone, beside_null = serialize({"a": value}), serialize({"a": value, "b": None})

    assert beside_null == alone[:-1] + b',"b":null}'


def test_the_callers_own_rule_for_dates_is_kept() -> None:
    day = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)

    assert serialize([day], lambda value: f"{value:%d.%m.%Y}") == b'["02.01.2026"]'
    assert serialize([day, None], lambda value: f"{value:%d.%m.%Y}") == b'["02.01.2026",null]'


def test_a_deep_value_is_an_error_and_no_crash() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(SerializationError):
        serialize(value)
