"""Which keys are the same, and which are none."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_queue_adapter.errors import BadName
from estela_wire.dataset import Dataset
from estela_wire.keys import BadKey, changes_of, checked_key, key_id, key_text

PAGE = (Path(__file__).parent.parent.parent / "docs" / "keys.md").read_text()
HUGE = int("9" * 4_000) ** 2  # which Python does not write
NAMES = {"Decimal": Decimal, "datetime": datetime, "date": date, "UUID": UUID}


def test_the_table_of_keys_says_which_are_the_same() -> None:
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \| (yes|no) \|", PAGE, re.MULTILINE)

    assert len(rows) >= 15
    for one, other, same in rows:
        texts = [key_text(eval(value, NAMES)) for value in (one, other)]
        assert None not in texts
        assert (texts[0] == texts[1]) == (same == "yes"), (one, other, texts)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "is null"),
        ([], "is a list"),
        ([1], "is a list"),
        ({}, "is an object"),
        (math.nan, "not a finite number"),
        (-math.inf, "not a finite number"),
        (Decimal("NaN"), "not a finite number"),
        ("", "empty text"),
        (HUGE, "is an integer of thousands of digits"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_a_key_is_told_with_its_field(value: Any, told: str) -> None:
    with pytest.raises(BadKey, match=told) as caught:
        key_id(["sku"], {"sku": value})

    assert "sku" in str(caught.value)


def test_a_missing_field_is_told_and_an_empty_one_beside_others_is_a_value() -> None:
    with pytest.raises(BadKey, match="'shop' is missing"):
        key_id(["sku", "shop"], {"sku": 1})

    assert key_id(["sku", "size"], {"sku": 1, "size": ""}) != key_id(["sku", "size"], {"sku": 1, "size": "L"})


def test_the_order_of_the_names_makes_no_difference_and_the_names_do() -> None:
    payload = {"shop": "x", "sku": 7, "id": 7}

    assert key_id(["shop", "sku"], payload) == key_id(["sku", "shop"], payload)
    assert key_id(["sku"], payload) != key_id(["id"], payload)
    # "a" and "bc" is not "ab" and "c".
    assert key_id(["a", "b"], {"a": "a", "b": "bc"}) != key_id(["a", "b"], {"a": "ab", "b": "c"})


keys = st.one_of(
    st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.decimals(), st.datetimes(),
    st.dates(), st.binary(), st.uuids(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()),
)  # fmt: skip


@given(st.dictionaries(st.text(), keys), st.lists(st.text(), min_size=1, unique=True))
def test_any_payload_has_twelve_bytes_or_a_reason(payload: dict[str, Any], names: list[str]) -> None:
    try:
        identity = key_id(names, payload)
    except BadKey:
        return

    assert len(identity) == 12
    assert identity == key_id(names[::-1], dict(reversed(payload.items())))


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_texts_are_different_keys_but_for_moments(one: str, other: str) -> None:
    if one != other and not any("-" in text for text in (one, other)):
        assert key_id(["k"], {"k": one}) != key_id(["k"], {"k": other})


@given(st.datetimes().filter(lambda moment: 1 < moment.year < 9999), st.integers(-14, 14))
def test_a_moment_is_the_same_as_a_date_and_as_text_in_any_time_zone(moment: datetime, hours: int) -> None:
    elsewhere = moment.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(hours=hours)))

    texts = {key_text(value) for value in (moment, moment.isoformat(), elsewhere, elsewhere.isoformat())}

    assert len(texts) == 1


@pytest.mark.parametrize("names", [None, "sku", [], [1], ["a", "a"], {"a": 1}, [[]], ["x"] * 17])
def test_a_key_that_is_no_list_of_names_is_refused(names: Any) -> None:
    with pytest.raises(BadName, match="key"):
        checked_key(names)


def test_the_dataset_of_changes_has_a_name_that_mongodb_takes() -> None:
    assert changes_of(Dataset("p", "shop")) == Dataset("p", "shop_changes")
    with pytest.raises(BadName, match="over 255 bytes"):
        changes_of(Dataset("p", "c" * 250))
