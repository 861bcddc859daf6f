"""Values of BSON's types: from Python to the wire and into a document, and what lies on the way."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any
from unittest.mock import ANY

import bson
import pytest
from bson import json_util
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import Document, decoded, with_id
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message
from estela_scrapy.payloads import ItemSerializer
from estela_wire.envelope import EnvelopeWriter

_ID = b"65b9f1a20000000000000001"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_KEYS = st.text('$ab:,{"d', max_size=5) | st.sampled_from(["$date", "$oid", "$$date", "$numberLong", "$"])
_ZONES = st.none() | st.builds(
    datetime.timezone, st.timedeltas(datetime.timedelta(hours=-14), datetime.timedelta(hours=14))
)
_WHOLE_MINUTES = st.none() | st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
_SUBTYPES = st.integers(5, 254)  # lower ones have rules of their own, and not every pymongo has 255
_FLOATS = st.floats(allow_nan=False) | st.just(float("nan"))  # JSON has one NaN
_PLAIN = st.none() | st.booleans() | st.integers() | _FLOATS | _TEXT | _KEYS
_TYPED = (
    st.datetimes(timezones=_ZONES)
    | st.dates()
    | st.decimals()
    | st.decimals(allow_nan=False, places=2, min_value=-(10**6), max_value=10**6)
    | st.binary(max_size=9)
    | st.uuids()
    | st.integers(2**62, 2**130)
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | st.builds(Binary, st.binary(max_size=5), _SUBTYPES)
    | st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
    | st.builds(
        Regex, st.text('a$"\\n[,{', max_size=5), st.integers(0, 2**7 - 1).map(lambda n: n & 0b1111110)
    )
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.integers(-(2**63), 2**63 - 1).map(DatetimeMS)
    | st.sampled_from([MinKey(), MaxKey(), Decimal128("1.50"), Decimal128("-Infinity")])
)
_VALUES = st.recursive(
    _PLAIN | _TYPED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_ITEMS = st.dictionaries(_KEYS, _VALUES, max_size=4)
_DECIMAL128 = bson.decimal128.create_decimal128_context()


def as_pymongo_has_it(value: Any) -> Any:
    """What to give pymongo so that it writes the same, by its own means."""
    if isinstance(value, dict):
        return {key: as_pymongo_has_it(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_pymongo_has_it(inner) for inner in value]
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        return DatetimeMS((aware - _EPOCH) // datetime.timedelta(milliseconds=1))
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)  # noqa: DTZ001
    if isinstance(value, uuid.UUID):
        return Binary.from_uuid(value)
    if isinstance(value, decimal.Decimal):
        return _decimal(value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        return _decimal(decimal.Decimal(value))
    return value


def _decimal(value: decimal.Decimal) -> Any:
    try:
        return Decimal128("NaN") if value.is_nan() else Decimal128(value)
    except decimal.DecimalException:
        return f"{value:f}" if value == value.to_integral_value() and "E" not in str(value) else str(value)


def sent(payload: bytes, *, unique: bool = False) -> bytes:
    return EnvelopeWriter("1.s.p", unique=unique, names={}).write(_ID, payload)


def document_of(data: bytes, offset: int = 5) -> Document:
    document = decode(Message("job_items", 0, offset, 1_700_000_000.5, None, data, ()))
    assert document is not None
    return document


def outcome(data: bytes) -> tuple[Reason | None, Document | None]:
    """Why it is no document, or the document that it is."""
    try:
        return None, document_of(data)
    except BadMessage as error:
        return error.reason, None


def envelope(payload: str, types: str = '"bson"', unique: str = "False") -> bytes:
    return f'{{"jid":"1.s.p","unique":"{unique}","types":{types},"payload":{payload}}}'.encode()


@settings(deadline=None)
@given(_ITEMS)
@example({"$date": "2020", "at": datetime.datetime(2020, 1, 1), "in": [{"$oid": "z"}, [{"$$date": 1}]]})  # noqa: DTZ001
@example({"price": "$5", "prices": ["$5", "$6"], "exact": decimal.Decimal("5.10")})
@example({"n": float("nan"), "none": None, "id": uuid.UUID(int=7), "long": Int64(5)})
@example({"ids": [2**63, 2**64 - 1, 2**62, 10**33, -(2**63) - 1]})
def test_every_value_arrives_as_pymongo_would_have_written_it(item: dict[str, Any]) -> None:
    document = document_of(sent(ItemSerializer(types="bson").serialize(item)))

    assert document.bson == with_id(bytes.fromhex(_ID.decode()), bson.encode(as_pymongo_has_it(item)))


@settings(deadline=None)
@given(_ITEMS, st.data())
def test_a_dollar_may_be_written_as_json_escapes_it(item: dict[str, Any], draw: st.DataObject) -> None:
    data = sent(ItemSerializer(types="bson").serialize(item))
    first, *others = data.split(b"$")
    ways = draw.draw(
        st.lists(st.sampled_from([b"$", b"\\u0024"]), min_size=len(others), max_size=len(others))
    )
    escaped = first + b"".join(way + other for way, other in zip(ways, others, strict=True))

    found, expected = document_of(escaped), document_of(data)

    assert found.bson == expected.bson


def test_binary_that_this_pymongo_cannot_write_costs_its_message_alone() -> None:
    value = Binary(b"x", 255)
    try:
        encoded = bson.encode({"a": value})
    except SystemError:
        encoded = None

    reason, document = outcome(envelope('{"a":{"$binary":{"base64":"eA==","subType":"ff"}}}'))

    assert reason == (None if encoded else Reason.BAD_VALUE)
    assert encoded is None or (document is not None and decoded(document.bson)["a"] == value)


def test_as_many_dollars_as_values_at_the_top_may_hide_one_further_inside() -> None:
    payload = r'{"a":{"\u0024numberInt":"1"},"b":{"c":{"$numberInt":"2"}}}'

    assert decoded(document_of(envelope(payload)).bson) == {"_id": ANY, "a": 1, "b": {"c": 2}}


@given(
    st.uuids()
    | st.dates()
    | st.datetimes(timezones=_WHOLE_MINUTES)
    | st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**6), max_value=10**6)
    | st.binary(min_size=1, max_size=9)
    | st.binary(min_size=12, max_size=12).map(ObjectId)
)
@example(uuid.UUID(int=7))  # its bytes are text too
@example(datetime.datetime(2026, 1, 31, 9, 30, 0, 999))  # noqa: DTZ001  (BSON counts milliseconds)
@example(datetime.datetime(9999, 12, 31, 23, 59, tzinfo=datetime.timezone(-datetime.timedelta(hours=5))))
@example(datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=14))))
@example(datetime.datetime(1880, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(minutes=19, seconds=32))))
def test_a_key_is_the_same_whether_its_value_travels_as_a_type_or_as_text(value: Any) -> None:
    keyed = EnvelopeWriter("1.s.p", unique=False, names={}, key=["k"], on_existing="replace")
    payloads = [ItemSerializer(types=types).serialize({"k": value}) for types in ("bson", "json")]

    one, other = (document_of(keyed.write(_ID, payload)).key for payload in payloads)

    assert one == other


@settings(deadline=None)
@given(
    st.dictionaries(
        _KEYS,
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | _KEYS
            | st.uuids().map(str),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
        ),
    )
)  # fmt: skip
@example({"n": [2**63 - 1, -(2**63), -1e-05, float("inf")], "text": ",9300000000000000000"})
def test_an_item_without_such_values_is_byte_for_byte_what_it_is_as_json(item: dict[str, Any]) -> None:
    written = ItemSerializer(types="bson").serialize(item)

    assert written == ItemSerializer(types="json").serialize(item)
    assert b'"types":' not in sent(written).partition(b',"payload"')[0]


@settings(deadline=None)
@given(st.dictionaries(st.text("ab", min_size=1, max_size=3), _TYPED | _PLAIN, min_size=1))
def test_relaxed_and_canonical_json_are_one_document_with_one_identity(item: dict[str, Any]) -> None:
    held = decoded(bson.encode(as_pymongo_has_it(item)))
    relaxed = json_util.dumps(held, json_options=json_util.RELAXED_JSON_OPTIONS)
    strict = json_util.dumps(held, json_options=json_util.CANONICAL_JSON_OPTIONS)
    ours = ItemSerializer(types="bson").serialize(item)

    ids = {
        document_of(data).id
        for data in (
            envelope(relaxed, unique="True"),
            envelope(strict, unique="True"),
            envelope(ours.decode(), unique="True"),
        )
    }

    assert len(ids) == 1


@pytest.mark.parametrize(
    "same",
    [
        ['{"$date":"2026-01-31T09:30:00Z"}', '{"$date":"2026-01-31T09:30:00.000Z"}',
         '{"$date":"2026-01-31T09:30:00+00:00"}', '{"$date":"2026-01-31T10:30:00.0000001+0100"}',
         '{"$date":{"$numberLong":"1769851800000"}}', '{"$date":1769851800000}'],
        ['{"$numberLong":"5"}', '{"$numberInt":"5"}', "5"],
        ['{"$numberDouble":"1.5"}', "1.5"],
        ['{"$numberDouble":"NaN"}', "NaN"],
        ['{"$numberDecimal":"1.10"}', '{"$numberDecimal":"+1.10"}', '{"$numberDecimal":"110E-2"}'],
        ['{"$uuid":"00000000-0000-0000-0000-000000000007"}',
         '{"$binary":{"base64":"AAAAAAAAAAAAAAAAAAAABw==","subType":"04"}}',
         '{"$binary":{"subType":"4","base64":"AAAAAAAAAAAAAAAAAAAABw=="}}'],
        ['{"$oid":"65B9F1A20000000000000001"}', '{"$oid":"65b9f1a20000000000000001"}'],
    ],
)  # fmt: skip
def test_a_value_has_one_identity_however_it_is_written(same: list[str]) -> None:
    documents = [document_of(envelope(f'{{"v":{value}}}', unique="True")) for value in same]

    assert len({document.id for document in documents}) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('{"$date":"2026-01-31T09:30:00Z"}', '"2026-01-31T09:30:00"'),
        ('{"$date":"2026-01-31T09:30:00Z"}', '{"$$date":1769851800000}'),
        ('{"$numberDecimal":"1.10"}', '"1.10"'),
        ('{"$numberDecimal":"1.10"}', '{"$numberDecimal":"1.1"}'),
        ('{"$oid":"65b9f1a20000000000000001"}', '"65b9f1a20000000000000001"'),
        ('{"$binary":{"base64":"eA==","subType":"00"}}', '{"$binary":{"base64":"eA==","subType":"80"}}'),
        ('{"$minKey":1}', '{"$maxKey":1}'),
    ],
)
def test_a_value_and_its_text_are_two(value: str, text: str) -> None:
    one, other = (document_of(envelope(f'{{"v":{each}}}', unique="True")) for each in (value, text))

    assert one.id != other.id


LIES = [
    *('{"$date":"x"}', '{"$date":"2020"}', '{"$date":"2020-01-01"}', '{"$date":"2020-01-01T00:00:00"}'),
    *('{"$date":"2020-13-01T00:00:00Z"}', '{"$date":"2020-W01-1T00:00:00Z"}', '{"$date":null}'),
    *('{"$date":"2020-01-01T00+01:00Z"}', '{"$date":"2020-01-01T00:00:00.+01Z"}', '{"$date":true}'),
    *('{"$date":"٢٠٢٠-01-01T00:00:00Z"}', '{"$date":"0001-01-01T00:00:00+14:00"}', '{"$date":1.5}'),
    *('{"$date":{"$numberLong":5}}', '{"$date":{"$numberLong":"9223372036854775808"}}', '{"$date":{}}'),
    *('{"$date":{"$numberLong":"1","a":1}}', '{"$date":{"$date":"2020-01-01T00:00:00Z"}}', '{"$date":[]}'),
    *('{"$date":"2020-01-01T00:00:00Z","a":1}', '{"$date":"2020-01-01T00:00:00Z","$oid":"x"}'),
    *('{"$numberDecimal":"abc"}', '{"$numberDecimal":""}', '{"$numberDecimal":1}'),
    '{"$numberDecimal":"1_0"}',
    *('{"$numberDecimal":"1E+7000"}', '{"$numberDecimal":"%s"}' % ("1" * 35), '{"$numberDecimal":"."}'),
    *('{"$numberDecimal":" 1"}', '{"$numberDecimal":"٣"}', '{"$numberDecimal":"%s"}' % ("9" * 20_000)),
    *('{"$oid":"zz"}', '{"$oid":7}', '{"$oid":"65b9f1a2000000000000000"}', '{"$oid":"\\ud800"}'),
    *('{"$binary":"eA=="}', '{"$binary":{"base64":"eA="}}', '{"$binary":{"base64":"eA=","subType":"00"}}'),
    *('{"$binary":{"base64":"e\\nA==","subType":"00"}}', '{"$binary":{"base64":"eA==","subType":"100"}}'),
    *('{"$binary":{"base64":"eA==","subType":"04"}}', '{"$binary":{"base64":"eA==","subType":0}}'),
    *('{"$binary":"eA==","$type":"00"}', '{"$binary":{"base64":1,"subType":"00"}}', '{"$uuid":"7"}'),
    *('{"$numberLong":"x"}', '{"$numberLong":5}', '{"$numberLong":"9223372036854775808"}'),
    *('{"$numberInt":"2147483648"}', '{"$numberDouble":"1e999"}', '{"$numberDouble":1.5}'),
    *('{"$regularExpression":"a"}', '{"$regularExpression":{"pattern":"a","options":"q"}}'),
    *('{"$regularExpression":{"pattern":"\\ud800","options":""}}', '{"$timestamp":{"t":1,"i":4294967296}}'),
    *('{"$regularExpression":{"pattern":"a\\u0000","options":""}}', '{"$timestamp":{"t":true,"i":1}}'),
    *('{"$minKey":2}', '{"$minKey":true}', '{"$code":"x"}', '{"$symbol":"x"}', '{"$undefined":true}'),
    *('{"$foo":1}', '{"$":1}', '{"$set":{"a":1}}', '{"a":{"$inc":1}}', '[[{"$date":"x"}]]'),
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_extended_json_that_lies_is_a_bad_message(lie: str) -> None:
    with pytest.raises(BadMessage) as caught:
        decode(Message("job_items", 0, 5, 0.5, None, envelope(f'{{"a":1,"v":{lie}}}'), ()))

    assert caught.value.reason is Reason.BAD_VALUE
    assert "not Extended JSON: " in str(caught.value) or "not a BSON value" in str(caught.value)


def test_a_payload_that_is_a_wrapper_is_no_document() -> None:
    with pytest.raises(BadMessage, match="not Extended JSON"):
        document_of(envelope('{"$date":"2020-01-01T00:00:00Z"}'))


@pytest.mark.parametrize("types", ['"xml"', '"BSON"', "true", "7", "[]", "{}", '""', '"\\u001b[31m"'])
def test_types_that_are_not_known_are_a_bad_message(types: str) -> None:
    with pytest.raises(BadMessage, match=r"types") as caught:
        document_of(envelope("{}", types))

    assert caught.value.reason is Reason.BAD_ENVELOPE
    assert "\x1b" not in str(caught.value)


def test_types_that_are_null_are_none() -> None:
    document = document_of(envelope('{"$date":"x"}', "null"))

    assert decoded(document.bson)["$date"] == "x"


_NAMES = [
    *("$date", "$oid", "$numberDecimal", "$numberLong", "$numberInt", "$numberDouble", "$binary", "$uuid"),
    *("$regularExpression", "$timestamp", "$minKey", "$code", "$ref", "$id", "$$date", "$", "base64"),
    *("subType", "pattern", "options", "t", "i"),
]
_HELD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            "x",
            "2020-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999-14:00",
            "1",
            "1e9",
            "NaN",
            "\ud800",
            "a" * 24,
        ),
        *("\x00", "0000-00-00T00:00:00Z", "9" * 400, "-0", "00", "04", "eA==", "i", 1, -1, 2**63, 1e308),
        *(10**400, True, None, float("nan"), [], {}),
    ]
)
_HOSTILE = st.recursive(
    _HELD | _PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES) | _KEYS, inner, min_size=1, max_size=2)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(_NAMES) | _KEYS, _HOSTILE, max_size=3), st.booleans(), st.booleans())
def test_whatever_a_payload_says_it_is_a_document_or_a_bad_message(
    payload: dict[str, Any], unique: bool, ascii_only: bool
) -> None:
    data = envelope(json.dumps(payload, ensure_ascii=True), unique=str(unique))
    if not ascii_only:
        data = data.replace(b"\\ud800", b"?")

    reason, document = outcome(data)

    assert reason in (None, Reason.BAD_VALUE)
    assert document is None or decoded(document.bson)["_id"] == document.id


@settings(deadline=None)
@given(_HOSTILE)
@example({"$date": {"$numberLong": "9223372036854775807"}})
@example({"$date": {"$numberLong": "-9223372036854775808"}})
@example({"$minKey": 1})
def test_whatever_a_key_holds_it_is_a_document_or_a_bad_message(value: Any) -> None:
    payload = json.dumps({"k": value})
    data = envelope(f'{payload},"key":["k"],"on_existing":"replace"')

    reason, document = outcome(data)

    assert reason in (None, Reason.BAD_VALUE, Reason.BAD_KEY)
    assert (document is None) == (reason is not None)


@pytest.mark.parametrize("depth", [50, 290, 400, 900, 20_000])
def test_wrappers_that_are_nested_deeply_are_a_document_or_a_bad_message(depth: int) -> None:
    for opened, closed in (('{"$date":', "}"), ('{"$a":', "}"), ("[", "]"), ('{"a":', "}")):
        reason, document = outcome(envelope(f'{{"a":{opened * depth}1{closed * depth}}}'))

        assert reason in (None, Reason.BAD_VALUE, Reason.UNDECODABLE)
        assert document is None or opened in ("[", '{"a":')
