"""A heartbeat travels as it was written, and a malformed one is told."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization import deserialize, serialize
from estela_wire.closing_record import ClosingRecord
from estela_wire.heartbeat import KIND, Heartbeat, kind_of

MOMENTS = st.datetimes(timezones=st.just(timezone.utc)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
COUNTS = st.integers(0, 2**40)
HEARTBEATS = st.builds(
    Heartbeat,
    sent=MOMENTS,
    opened=MOMENTS,
    interval=st.floats(0.001, 1e6),
    published=COUNTS,
    failed=COUNTS,
    scraped=st.none() | COUNTS,
    responses=st.none() | COUNTS,
)
NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
BEAT = Heartbeat(sent=NOON, opened=NOON, interval=30.0)


@given(HEARTBEATS)
def test_it_comes_back_as_it_was_sent_and_is_small(heartbeat: Heartbeat) -> None:
    data = serialize({**heartbeat.to_payload(), "from": "a later version"})

    assert Heartbeat.from_payload(deserialize(data)) == heartbeat
    assert kind_of(deserialize(data)) == KIND
    assert len(data) < 320


def test_it_is_no_closing_record_to_an_older_reader() -> None:
    with pytest.raises(SerializationError):
        ClosingRecord.from_payload(BEAT.to_payload())


@given(
    st.dictionaries(
        st.sampled_from([*BEAT.to_payload(), "other"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_hostile_fields_are_an_error_of_its_own(changes: dict[str, Any]) -> None:
    kind_of(changes)
    try:
        found = Heartbeat.from_payload({**BEAT.to_payload(), **changes})
    except SerializationError:
        return
    found.is_late(NOON.timestamp())


def test_it_is_late_after_three_intervals() -> None:
    def at(seconds: float) -> float:
        return (NOON + timedelta(seconds=seconds)).timestamp()

    assert not BEAT.is_late(at(90))
    assert BEAT.is_late(at(91))
