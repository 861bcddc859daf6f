"""The closing record travels as it was written, and a malformed one is told."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization import deserialize, serialize
from estela_wire.closing_record import ClosingRecord, StreamRecord, is_items
from estela_wire.message_id import IdRange

NONCE = b"nonce"
TEXT = st.text(min_size=1, max_size=20)


@st.composite
def streams(draw: st.DrawFn) -> StreamRecord:
    published = draw(st.integers(0, 2**40))
    ends = draw(st.tuples(*[st.binary(min_size=7, max_size=7)] * 2))
    first, last = sorted((end[:4] + NONCE + end[4:]).hex() for end in ends)
    named = published or draw(st.booleans())
    return StreamRecord(
        stream=draw(st.sampled_from(["items", "items/Book", "requests", "stats", "logs"])),
        topic=draw(TEXT),
        jid=draw(TEXT),
        db_name=draw(st.text(max_size=20)),
        dataset_name=draw(st.text(max_size=20)),
        unique=draw(st.booleans()),
        published=published,
        key=draw(st.lists(TEXT, max_size=3).map(tuple)),
        on_existing=draw(st.sampled_from(["", "keep", "track"])),
        failed=draw(st.integers(0, 2**40)),
        filtered=draw(st.integers(0, 2**40)),
        first_id=first if named else "",
        last_id=last if named else "",
    )


RECORDS = st.builds(
    ClosingRecord,
    job=TEXT,
    spider=TEXT,
    project=TEXT,
    finish_reason=st.text(max_size=20),
    opened=st.datetimes(timezones=st.just(timezone.utc)),
    closed=st.datetimes(timezones=st.just(timezone.utc)),
    streams=st.lists(streams(), max_size=4).map(tuple),
    item_scraped_count=st.none() | st.integers(0, 2**40),
    response_received_count=st.none() | st.integers(0, 2**40),
    run=st.none() | st.integers(1, 2**40),
)


@given(RECORDS)
def test_each_scraped_item_is_some_streams(record: ClosingRecord) -> None:
    scraped = [record.scraped_of(stream) for stream in record.streams]

    known = [count for count in scraped if count is not None]
    assert not known or sum(known) == record.item_scraped_count
    assert [count is not None for count in scraped] == [
        is_items(stream.stream) and record.item_scraped_count is not None for stream in record.streams
    ]


@given(RECORDS)
def test_a_record_comes_back_as_it_was_written(record: ClosingRecord) -> None:
    assert ClosingRecord.from_payload(deserialize(serialize(record.to_payload()))) == record


@given(RECORDS, st.dictionaries(TEXT.map("x-{}".format), TEXT))
def test_fields_of_later_versions_are_left_aside(record: ClosingRecord, more: dict[str, Any]) -> None:
    payload = record.to_payload()
    payload["streams"] = [{**stream, **more} for stream in payload["streams"]]

    assert ClosingRecord.from_payload({**payload, **more}) == record


def written(**changes: Any) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "job": "1", "spider": "s", "project": "p", "finish_reason": "finished",
        "opened": "2026-01-31T09:30:15+00:00", "closed": "2026-01-31T09:31:15.5Z",
        "item_scraped_count": 2, "response_received_count": None, "run": 3,
        "streams": [
            {
                "stream": "items", "topic": "t", "jid": "1.s.p", "db_name": "", "dataset_name": "",
                "unique": False, "published": 2, "failed": 0,
                "first_id": "00000001" + "aa" * 5 + "000000", "last_id": "00000002" + "AA" * 5 + "000001",
            }
        ],
    }  # fmt: skip
    stream = changes.pop("stream", {})
    payload["streams"][0].update(stream)
    payload.update(changes)
    copy: dict[str, Any] = json.loads(json.dumps(payload))
    return copy


def test_the_contract_is_these_fields() -> None:
    record = ClosingRecord.from_payload(written())

    assert record.jid == "1.s.p"
    assert record.closed == datetime(2026, 1, 31, 9, 31, 15, 500_000, tzinfo=timezone.utc)
    assert record.to_payload() == written(
        closed="2026-01-31T09:31:15.500000+00:00", stream={"last_id": "00000002" + "aa" * 5 + "000001"}
    )


def test_a_record_of_version_0_1_does_not_say_what_scrapy_counted() -> None:
    payload = written()
    for name in ("item_scraped_count", "response_received_count", "run"):
        del payload[name]

    record = ClosingRecord.from_payload(payload)

    assert (record.item_scraped_count, record.response_received_count, record.run) == (None, None, None)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (None, "the closing record is None, not an object"),
        (written(job=""), "job is empty"),
        ({**written(), "job": 1}, "job is 1, not text"),
        ({name: value for name, value in written().items() if name != "streams"}, "has no streams"),
        (written(item_scraped_count=-1), "item_scraped_count is -1, below 0"),
        (written(response_received_count="1"), "response_received_count is '1', not a whole number"),
        (written(streams={}), "streams is {}, not a list"),
        (written(opened="yesterday"), "opened is 'yesterday', not an ISO 8601 time"),
        (written(opened="2026-01-31T09:30:15"), "a time without its zone"),
        (written(streams=[1]), r"streams\[0\] is 1, not an object"),
        (written(stream={"topic": ""}), r"streams\[0\]: 2 published, but no topic"),
        (written(stream={"key": "sku"}), r"streams\[0\]: key is 'sku', not a list of names"),
        (written(stream={"key": [1]}), r"streams\[0\]: key is \[1\], not a list of names"),
        (written(stream={"on_existing": 1}), r"streams\[0\]: on_existing is 1, not text"),
        (written(stream={"filtered": -1}), r"streams\[0\]: filtered is -1, below 0"),
        (written(stream={"published": True}), r"streams\[0\]: published is True, not a whole number"),
        (written(stream={"failed": -1}), "failed is -1, below 0"),
        (written(stream={"unique": "False"}), "unique is 'False', not true or false"),
        (written(stream={"first_id": "xyz"}), "first_id is 'xyz', not 24 hex digits"),
        (written(stream={"last_id": " " * 24}), "not 24 hex digits"),
        (written(stream={"first_id": ""}), "one of first_id and last_id"),
        (written(stream={"first_id": "", "last_id": ""}), "2 published, but no first_id"),
        (written(stream={"first_id": "00000003" + "aa" * 5 + "000000"}), "not of one run"),
        (written(stream={"first_id": "00000001" + "bb" * 5 + "000000"}), "not of one run"),
    ],
)
def test_a_malformed_record_is_told(payload: Any, told: str) -> None:
    with pytest.raises(SerializationError, match=told):
        ClosingRecord.from_payload(payload)


def test_a_range_holds_the_ids_between_its_ends_that_have_its_nonce() -> None:
    def identity(seconds: int, nonce: bytes, counter: int) -> bytes:
        return seconds.to_bytes(4, "big") + nonce + counter.to_bytes(3, "big")

    ids = IdRange(identity(10, NONCE, 0), identity(20, NONCE, 7))

    assert ids.holds(ids.first)
    assert ids.holds(ids.last)
    assert ids.holds(identity(15, NONCE, 2**24 - 1))
    assert not ids.holds(identity(15, b"other", 3))
    assert not ids.holds(identity(9, NONCE, 3))
    assert not ids.holds(identity(20, NONCE, 8))
