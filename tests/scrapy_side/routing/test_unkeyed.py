"""The crawl counts as without its key what the consumer will refuse, and nothing else."""

from __future__ import annotations

import datetime
import decimal
import re
from typing import Any

import pytest
from bson.min_key import MinKey
from bson.objectid import ObjectId
from hypothesis import example, given, settings
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message
from estela_scrapy.payloads import ItemSerializer
from estela_scrapy.routing.unkeyed import unkeyed_in
from estela_wire.envelope import EnvelopeWriter

_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.decimals(),
    st.dates(), st.datetimes(), st.binary(max_size=2), st.uuids(), st.sets(st.integers(), max_size=1),
    st.dictionaries(st.sampled_from(["$date", "$numberDecimal", "a"]), st.text(max_size=3), max_size=2),
    st.sampled_from([re.compile("a"), MinKey(), ObjectId(), datetime.timedelta(1), "", b"", bytearray(), ()]),
)  # fmt: skip


def refused(payload: bytes, names: list[str]) -> bool:
    """Whether the consumer makes a dead letter of it, as the key is none."""
    writer = EnvelopeWriter("1.s.p", unique=False, names={}, key=names, on_existing="replace")
    data = writer.write(b"65b9f1a20000000000000001", payload)
    try:
        decode(Message("items_topic", 0, 5, 1_700_000_000.5, None, data, ()))
    except BadMessage as error:
        return error.reason is Reason.BAD_KEY
    return False


@settings(deadline=None)
@given(_VALUES, _VALUES, st.sampled_from(["bson", "json"]))
@example(decimal.Decimal("NaN"), "", "bson")
@example(decimal.Decimal("NaN"), "", "json")
@example(b"", "", "bson")
def test_what_has_no_key_is_told_before_the_consumer_finds_it(one: Any, other: Any, types: str) -> None:
    payload = ItemSerializer(types=types).serialize({"one": one, "other": other})

    for names in (["one"], ["one", "other"], ["one", "none"]):
        assert bool(unkeyed_in(names, payload)) == refused(payload, names)


@pytest.mark.parametrize(("value", "named"), [({1}, ["set"]), (1, []), (decimal.Decimal("NaN"), ["set"])])
def test_the_field_is_named(value: Any, named: list[str]) -> None:
    payload = ItemSerializer(types="bson").serialize({"sku": 1, "set": value})

    assert unkeyed_in(["sku", "set"], payload) == named
