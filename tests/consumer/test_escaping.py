from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.escaping import (
    escape_document,
    escape_key,
    has_plain_keys,
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
def test_keys_that_look_plain_in_json_need_no_escape(
    payload: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    data = json.dumps(payload, ensure_ascii=ascii_only, indent=indent, separators=(" ,", "\n: ")).encode()

    if has_plain_keys(data):
        payload.pop("_id", None)
        assert escape_document(payload) is payload


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (
            b'{"url": "https://a.example/b.c", "price": 1.5, "n": [0.1, "x.y"], "z": {"k": ".", "l": ":"}}',
            True,
        ),
        (b'{"a.b": 1}', False),
        (b'{"a": [{"b.c..d": 1}]}', False),
        (b'{"a.b" : 1}', False),
        (b'{"a\\u002eb": 1}', False),
        (b'{"a\\\\": 1}', False),
    ],
)
def test_what_looks_plain(data: bytes, plain: bool) -> None:
    assert has_plain_keys(data) is plain
