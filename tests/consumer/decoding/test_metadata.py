"""The subdocument `_estela`, put together of bytes, is what pymongo makes of its fields."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId
from hypothesis import example, given
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.metadata import milliseconds_of
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message

AS_STORED: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
ID = "65b9f1a2000000000000000a"
ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)", re.ASCII)

MOMENTS = (
    st.datetimes(timezones=st.just(timezone.utc)).map(
        lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z".rjust(24, "0")
    )
    | st.from_regex(ISO_8601, fullmatch=True)
    | st.text("0123456789-:T.Z+ ٣", min_size=22, max_size=26)
)
URLS = st.text(max_size=20) | st.sampled_from(["https://shop.example/a?b=1", "x" * 8_192, "x" * 8_193, "\0"])
JIDS = st.sampled_from(["1.shop.market", "1.shop", "", "prüfung.shop.market", 7, None, ["1.shop.market"]])
ODD = st.none() | st.integers() | st.lists(st.integers(), max_size=1)


def plain_milliseconds(text: str) -> int | None:
    """Step by step, for any text."""
    found = ISO_8601.fullmatch(text)
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    zone = "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{zone}")
    except ValueError:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])


@given(MOMENTS)
@example("2026-01-31T09:30:15.123Z")
@example("1969-12-31T23:59:59.999Z")
@example("2026-01-31T09:30:15.12٣Z")
@example("2026-02-31T09:30:15.123Z")
@example("2026-01-31T09:30:15x123Z")
@example("2026-01-31T09:30:15.+12Z")
def test_a_moment_is_read_the_same_by_the_short_way(text: str) -> None:
    assert milliseconds_of(text) == plain_milliseconds(text)


def origin(jid: Any) -> dict[str, Any]:
    """What a jid of three parts says."""
    if jid in ("1.shop.market", "prüfung.shop.market"):
        return dict(zip(("job", "spider", "project"), str(jid).split("."), strict=True))
    return {}


def page(metadata: Any) -> dict[str, Any]:
    """What the metadata say, as far as each is what it should be."""
    fields = metadata if isinstance(metadata, dict) else {}
    url, scraped_at = fields.get("url"), fields.get("scraped_at")
    told: dict[str, Any] = {}
    if isinstance(url, str) and len(url) <= 8_192:
        told["url"] = url
    if isinstance(scraped_at, str) and (at := plain_milliseconds(scraped_at)) is not None:
        told["scraped_at"] = DatetimeMS(at)
    return told


@given(st.fixed_dictionaries({}, optional={"url": URLS | ODD, "scraped_at": MOMENTS | ODD}), JIDS)
def test_a_document_with_metadata_is_what_pymongo_makes_of_its_fields(metadata: Any, jid: Any) -> None:
    envelope = {"jid": jid, "payload": {"sku": 7}, "id": ID, "db_name": "d", "dataset_name": "c"}
    data = json.dumps({**envelope, "metadata": metadata}).encode()

    document = decode(Message("items", 0, 5, 1_700_000_000.5, None, data, ()))

    assert document is not None
    expected = {"_id": ObjectId(ID), "sku": 7, "_estela": {**origin(jid), **page(metadata)}}
    assert document.bson == bson.encode(expected)


@given(st.fixed_dictionaries({}, optional={"url": URLS | ODD, "scraped_at": MOMENTS | ODD}), JIDS)
def test_a_document_with_a_key_too_and_its_content_ends_where_it_says(metadata: Any, jid: Any) -> None:
    envelope = {"jid": jid, "payload": {"sku": 7, "a": 1}, "id": ID, "db_name": "d", "dataset_name": "c"}
    keyed = {"key": ["sku", "a"], "on_existing": "replace", "metadata": metadata}
    data = json.dumps({**envelope, **keyed}).encode()

    document = decode(Message("items", 0, 5, 1_700_000_000.5, None, data, ()))

    assert document is not None
    told = page(metadata)
    seen = told.get("scraped_at", DatetimeMS(1000 * int(ID[:8], 16)))
    found = bson.decode(document.bson, AS_STORED)
    assert list(found["_estela"].items()) == list({
        "id": ObjectId(ID), "key": ["a", "sku"], **origin(jid), **told,
        "first_seen": seen, "last_seen": seen, "revision": 1,
    }.items())  # fmt: skip
    assert document.version is not None
    assert document.bson[document.version.content_end :].startswith(b"\x03_estela\x00")
    assert bson.encode(found) == document.bson


@pytest.mark.parametrize("key", ["sku", {"sku": 1}, [["sku"]], [1], [], ["sku", "sku"], [None], ["\ud800"]])
def test_a_key_that_is_no_list_of_names_is_a_bad_envelope_each_time(key: Any) -> None:
    data = json.dumps({"jid": "1.s.p", "payload": {"sku": 1}, "key": key, "on_existing": "keep"}).encode()
    for _ in range(2):
        with pytest.raises(BadMessage) as raised:
            decode(Message("items", 0, 5, 1_700_000_000.5, None, data, ()))
        assert raised.value.reason is Reason.BAD_ENVELOPE
