from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import with_id
from estela_consumer.decoding.escaping import (
    Shapes,
    _stored_keys,
    escape_document,
    escape_key,
    may_hold_backslashes,
    unescape_document,
    unescape_key,
)
from estela_consumer.errors import BadMessage
from estela_queue_adapter import Message

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


def by_the_rules(value: Any, *, top: bool = True) -> Any:
    """The rules of the module's docstring, character by character."""
    if isinstance(value, list):
        return [by_the_rules(inner, top=False) for inner in value]
    if not isinstance(value, dict):
        return value
    return {key_by_the_rules(key, top=top): by_the_rules(inner, top=False) for key, inner in value.items()}


def key_by_the_rules(key: str, *, top: bool) -> str:
    if top and key == "_id":
        return "\\u005fid"
    written = ""
    for place, character in enumerate(key):
        begins_an_escape = key[place + 1 : place + 6] in ("u002e", "u002f", "u005c", "u005f")
        if character == ".":
            written += "\\u002e"
        elif character == "\\" and begins_an_escape:
            written += "\\u005c"
        else:
            written += character
    return written


HOSTILE = KEYS | st.sampled_from(
    ["_id", "", "a.b", "..", "\\", "\\u002e", "\\\\u002e", "\\u005fid", "$id", "é.\U0001f600"]
)


@given(
    st.dictionaries(HOSTILE, VALUES | st.dictionaries(HOSTILE, VALUES, max_size=3), max_size=5), st.booleans()
)
@example({"\ud800.": 1, "a": [{"\udfff": {"b.c": 1}}]}, False)
@example({"k" * 300 + ".": {"." * 300: 1}}, False)
def test_keys_are_written_by_the_rules_whatever_was_decoded_before(
    payload: dict[str, Any], unique: bool
) -> None:
    expected = by_the_rules(payload)
    data = json.dumps({"jid": "1.s.p", "payload": payload, "unique": str(unique)}).encode()
    message = Message("job_items", 0, 5, 1_700_000_000.5, None, data, ())

    assert list(escape_document(payload).items()) == list(expected.items())  # in their order too
    for _ in "at first", "as one whose keys are known":
        try:
            encoded = bson.encode(expected)
        except (bson.errors.BSONError, UnicodeError, OverflowError):
            with pytest.raises(BadMessage, match=r"BSON|64 bits"):
                decode(message)
        else:
            document = decode(message)
            assert document is not None
            assert document.bson == with_id(document.key, encoded)


def test_what_is_remembered_of_keys_is_bounded() -> None:
    shapes = Shapes()
    for number in range(10_000):
        shapes.remember({f"key {number}": 1})
        escape_document({f"a.{number}": 1})
    shapes.remember({"key": 1})
    shapes.remember({"k" * 3_000: 1})
    escape_document({"k." * 3_000: 1})

    assert ("key",) in shapes
    assert len(shapes) <= 2_000
    assert len(_stored_keys) <= 2_000
    assert max(map(len, _stored_keys)) <= 200


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
