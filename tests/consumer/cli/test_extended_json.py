"""Documents as JSON that any parser reads."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import json_util
from bson.binary import Binary
from bson.code import Code
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.cli.extended_json import extended_json
from tests.consumer.commands import drain, envelope, publish, run

pytestmark = pytest.mark.processes

DOCUMENTS = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()

# What the table in the documents has, and what BSON has besides.
VALUES: dict[str, Any] = {
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
    "date, 1970 to 9999": datetime(2026, 1, 31, 9, 30, tzinfo=timezone.utc),
    "date, earlier": datetime(1, 1, 1, tzinfo=timezone.utc),
    "Decimal128": Decimal128("1.50"),
    "bytes": b"\x00\xff",
    "Binary": Binary(b"\x01", 128),
    "ObjectId": ObjectId("65b9f1a20000000000000001"),
    "Timestamp": Timestamp(1, 2),
    "Regex": Regex("^a", "i"),
    "Code": Code("f()"),
    "Code with scope": Code("f()", {"a": 1}),
    "DBRef": DBRef("books", 1),
    "MinKey": MinKey(),
    "MaxKey": MaxKey(),
    "Int64": Int64(2**53),
}


def bare(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("name", VALUES)
def test_what_json_has_no_word_for_is_read_back_as_it_was(name: str) -> None:
    document = bson.decode(bson.encode({"value": [VALUES[name]], "none": None}))

    for line in (
        extended_json(document),
        extended_json({"value": document["value"]}),
        extended_json(document, indent=2),
    ):
        json.loads(line, parse_constant=bare)
        read = json_util.loads(line)
        assert bson.encode({"value": read["value"]}) == bson.encode({"value": document["value"]})


def test_the_table_in_the_documents_is_what_is_written() -> None:
    rows = re.findall(r"^\| ([^|]+?) +\| `(\{.*\})` \|$", DOCUMENTS, re.MULTILINE)

    assert {name for name, _ in rows} == set(list(VALUES)[:9])
    for name, written in rows:
        assert json.loads(extended_json(bson.decode(bson.encode({"value": VALUES[name]})))) == {
            "value": json.loads(written)
        }


_CHARACTERS = st.characters(exclude_categories=["Cs"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(_CHARACTERS, max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcÄ\x9b\u2028", max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", max_size=4), values, max_size=4))
def test_any_document_is_one_line_that_is_read_back_equal(document: dict[str, Any]) -> None:
    line = extended_json(document)

    assert "\n" not in line
    json.loads(line, parse_constant=bare)
    assert repr(json_util.loads(line)) == repr(document)


@pytest.mark.usefixtures("workdir")
def test_every_line_that_a_command_prints_is_json_though_nan_was_scraped() -> None:
    publish("topic", [envelope({"n": math.nan, "deep": [math.inf, None]}, dataset_name="d", db_name="p")])
    publish("topic", [envelope({"n": -math.inf}, dataset_name="$d", db_name="p")])
    drain("topic")

    exported = run("estela-data", "export", "p/d")
    shown = run("estela-data", "show", "p/d")
    letter = run("estela-dead-letters", "show", "topic", "0:1")

    assert json.loads(exported.out, parse_constant=bare) == {
        "n": {"$numberDouble": "NaN"},
        "deep": [{"$numberDouble": "Infinity"}, None],
    }
    assert '[{"$numberDouble":"Infinity"},null]' in shown.out
    body = letter.out[letter.out.index("\n{") :]
    assert json.loads(body, parse_constant=bare)["payload"] == {"n": {"$numberDouble": "-Infinity"}}
