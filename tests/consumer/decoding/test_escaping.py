from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.escaping import (
    escape_document,
    escape_key,
    may_hold_backslashes,
    unescape_document,
    unescape_key,
)

KEYS = st.text(alphabet=st.sampled_from("ab._\\u002efc5/$"), max_size=12) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


def test_a_dot_becomes_what_estelas_readers_turn_back() -> None:
    assert escape_key("a.b") == "a\\u002eb"


def test_dots_are_escaped_at_any_depth_in_lists_inside_lists_too() -> None:
    assert escape_document({"a": [[{"b.c": {"d.e": 1}}]]}) == {"a": [[{"b\\u002ec": {"d\\u002ee": 1}}]]}


def test_an_items_own_id_is_kept_under_an_escaped_key_and_only_at_the_top() -> None:
    assert escape_document({"_id": 7, "in": {"_id": 8}}) == {"\\u005fid": 7, "in": {"_id": 8}}


def test_what_needs_no_escape_is_the_same_object() -> None:
    payload = {"name": "a.b", "price": 1, "_idx": "\\"}

    assert escape_document(payload) is payload


@given(KEYS)
def test_a_key_comes_back_as_it_was(key: str) -> None:
    escaped = escape_key(key)

    assert "." not in escaped
    assert unescape_key(escaped) == key


@given(st.dictionaries(KEYS | st.just("_id"), VALUES, max_size=4))
def test_a_document_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    escaped = escape_document(payload)

    assert "_id" not in escaped
    assert unescape_document(escaped) == payload


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_no_backslash_in_a_key_is_overlooked(
    payload: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    data = json.dumps(payload, ensure_ascii=ascii_only, indent=indent, separators=(" ,", "\n: ")).encode()

    if not may_hold_backslashes(data):
        escaped = escape_document(payload)
        assert json.dumps(escaped).count("\\\\u") == json.dumps(escaped).count("\\\\u002e")  # dots alone


@pytest.mark.parametrize(
    ("data", "held"),
    [
        (b'{"a": "a line\\nand \\"more\\", \\u00e9"}', False),
        (b'{"a\\\\u002e": 1}', True),
        (b'{"a\\u005cu002e": 1}', True),
        (b'{"a\\u005Cu002e": 1}', True),
    ],
)
def test_what_may_hold_a_backslash(data: bytes, held: bool) -> None:
    assert may_hold_backslashes(data) is held
