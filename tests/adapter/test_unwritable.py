"""Values that cannot be written, and how long it may take to find out."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import FrameType
from typing import Any

import numpy as np
import pytest

from estela_queue_adapter.serialization.codec import serialize
from estela_queue_adapter.serialization.conversion import MAX_ITERATED, name_of_type
from estela_queue_adapter.serialization.writing import MAX_SINGLE, Unwritable
from tests.adapter.test_conversion import Hostile, written


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


def calls_of(action: Callable[[], Any]) -> int:
    """How many calls of Python functions it takes, whether it fails or not."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        with contextlib.suppress(Unwritable):
            action()
    finally:
        sys.setprofile(None)
    return calls


def test_the_field_of_a_huge_value_is_found_while_it_is_written() -> None:
    """Given 400,000 values, which are not looked at one by one."""
    rows: dict[str, Any] = {f"k{n}": [{"n": m, "text": "x" * 20} for m in range(100)] for n in range(2_000)}
    rows["k1999"].append({"value": Hostile()})

    assert calls_of(lambda: serialize(rows)) < 50_000
    with pytest.raises(Unwritable, match=r"^k1999\[100\]\.value: "):
        serialize(rows)


def test_iterators_have_a_limit_together() -> None:
    half = MAX_ITERATED // 2 + 1

    with pytest.raises(Unwritable, match="gives more than"):
        serialize([iter([0] * half), iter([0] * half)])


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
    ("make", "most"),
    [
        (failing, 500_000),
        (lambda: [n if n % 100 else iter([n]) for n in range(100_000)], 50_000),
        (lambda: {*range(50_000), *map(str, range(50_000))}, 150_000),
    ],
    ids=["a bad field deep down", "a few iterators", "a mixed set"],
)
def test_an_odd_value_takes_a_few_calls_for_each_that_it_holds(make: Callable[[], Any], most: int) -> None:
    value = make()

    assert calls_of(lambda: serialize({"value": value})) < most


def test_what_has_to_be_written_one_by_one_has_a_limit() -> None:
    fits = {"rows": [{b"k": Decimal(n)} for n in range(1_000)]}
    too_many = {"rows": [{b"k": None} for _ in range(MAX_SINGLE)]}

    assert len(written(fits)["rows"]) == 1_000
    with pytest.raises(
        Unwritable, match=r"^rows\[\d+\]\.key: more than 200,000 values have to be written one by one$"
    ):
        serialize(too_many)
