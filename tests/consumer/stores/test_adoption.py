"""What becomes of each document that estela wrote: rules alone, without a server."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, Regex, Timestamp
from bson.objectid import ObjectId
from hypothesis import example, given
from hypothesis import strategies as st

from estela_consumer.adoption import Kind, adopted, survey
from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import Document, same_content
from estela_queue_adapter import Message

_NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)

texts = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8
) | st.sampled_from(
    ["a.b", ".", "$ref", "$id", "$set", "_id", "\\u002e", "\\u005fid", "\\u005cu002e", "a\\.b"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
# A literal escape in a scraped key cannot be told from a dot that estela has escaped.
payloads = st.dictionaries(texts, values, min_size=1, max_size=5).filter(
    lambda payload: "\\\\u002e" not in json.dumps(payload)
)


def as_estela_stores(payload: Any) -> Any:
    """What estela's consumer makes of a payload: dots escaped, but not in lists inside lists."""
    if not isinstance(payload, dict):
        return payload
    return {
        key.replace(".", "\\u002e"): [as_estela_stores(inner) for inner in value]
        if isinstance(value, list)
        else as_estela_stores(value)
        for key, value in payload.items()
    }


def stored_by_estela(payload: dict[str, Any]) -> bytes:
    document = as_estela_stores(payload)
    return bson.encode(document if "_id" in document else {"_id": ObjectId(), **document})


def stored_by_us(payload: dict[str, Any]) -> Document:
    value = json.dumps({"jid": "1.s.p", "payload": payload, "unique": "True"}).encode()
    document = decode(Message("items", 0, 0, 0.0, None, value, ()))
    assert document is not None
    return document


@given(payloads)
def test_a_document_of_estelas_becomes_the_one_that_its_message_would_make(payload: dict[str, Any]) -> None:
    document = adopted(stored_by_estela(payload))

    assert document.kind is Kind.ADOPTED
    assert same_content(document.bson, stored_by_us(payload).bson)


@given(payloads)
@example({"_id": None, "\\u005fid": None})
def test_a_document_of_ours_stays_what_it_is(payload: dict[str, Any]) -> None:
    ours = stored_by_us(payload).bson

    assert adopted(ours) == (Kind.OURS, ours, ())


def test_a_document_of_ours_with_values_of_bsons_types_stays_what_it_is() -> None:
    """Though no message of estela's can say them."""
    payload = b'{"$$a":{"$date":"2026-01-31T09:30:00.123Z"},"b":[{"$numberDecimal":"1.10"}],"c":null}'
    value = b'{"jid":"1.s.p","unique":"True","types":"bson","payload":%b}' % payload
    ours = decode(Message("items", 0, 0, 0.0, None, value, ()))

    assert ours is not None
    assert adopted(ours.bson) == (Kind.OURS, ours.bson, ())


@given(payloads)
def test_what_is_adopted_is_ours(payload: dict[str, Any]) -> None:
    document = adopted(stored_by_estela(payload))

    assert adopted(document.bson).kind is Kind.OURS


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (_NOW, "date"),
        (bson.DatetimeMS(2**60), "date"),
        (Decimal128("1.1"), "Decimal128"),
        (ObjectId(), "ObjectId"),
        (b"x", "Binary"),
        (Binary(b"x", 5), "Binary"),
        (Regex("a"), "Regex"),
        (re.compile("a"), "Regex"),
        (Timestamp(1, 1), "Timestamp"),
        (Code("x"), "Code"),
        (bson.MinKey(), "MinKey"),
    ],
)
def test_what_no_message_of_estelas_can_say_keeps_its_id_and_its_bytes(value: Any, reason: str) -> None:
    stored = bson.encode({"_id": ObjectId(), "a": [{"b": value}]})

    assert adopted(stored) == (Kind.KEPT, stored, (reason,))


def test_a_document_that_cannot_be_read_is_kept() -> None:
    stored = bson.encode({"_id": ObjectId(), "a": "xyz"}).replace(b"xyz", b"x\xffz")

    assert adopted(stored) == (Kind.KEPT, stored, ("invalid BSON",))


def test_an_id_that_is_no_value_of_json_is_kept() -> None:
    stored = bson.encode({"_id": _NOW, "a": 1})

    assert adopted(stored) == (Kind.KEPT, stored, ("date as _id",))


def test_a_64_bit_integer_is_an_integer_as_a_message_says_it() -> None:
    small = bson.encode({"_id": ObjectId(), "n": Int64(5)})

    assert adopted(small).kind is Kind.ADOPTED
    assert bson.decode(adopted(small).bson)["_id"] == stored_by_us({"n": 5}).id


def test_a_survey_counts_the_equal_ones_and_the_reasons() -> None:
    documents = [stored_by_estela({"n": n % 700}) for n in range(1_500)]
    documents += [
        stored_by_us({"n": 3}).bson,
        bson.encode({"_id": ObjectId(), "at": _NOW, "of": Decimal128("1")}),
    ]

    report = survey(documents, lambda _: None)

    assert (report.documents, report.adopted, report.ours, report.kept) == (1_502, 1_500, 1, 1)
    assert report.merged == 1_502 - 700 - 1
    assert report.reasons == {"date": 1, "Decimal128": 1}
