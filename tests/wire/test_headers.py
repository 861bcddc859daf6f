"""What a message's headers say of where it was, and when that is believed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_queue_adapter import Message
from estela_queue_adapter.messages import Headers
from estela_wire.headers import Origin, escaped, origin_of, own_headers, replay_headers, unescaped

HERE = Origin("t", 2, 100, 1_700_000_000.5)
EARLIER = Origin("t", 2, 99, 1_600_000_000.25)
DATA = json.dumps({"jid": "1.s.p", "payload": {"n": 1}}).encode()

OURS = ("topic", "partition", "offset", "timestamp", "replays", "key", "", "own-", "own-estela-topic")
NAMES = st.binary(max_size=12).map(lambda name: name.decode(errors="surrogateescape")) | st.sampled_from(
    [f"estela-{name}" for name in OURS]
)
CLAIMS = st.sampled_from([b"t", b"2", b"99", b"0", b"-1", b"nan", b"inf", b"1e999", b"9" * 5_000, b"1_0"])
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=12) | CLAIMS), max_size=9)


def message(headers: Headers, origin: Origin = HERE) -> Message:
    return Message(*origin, None, DATA, headers)


def id_of(one: Message) -> Any:
    document = decode(one)
    assert document is not None
    return document.id


def test_a_replayed_message_is_what_it_was() -> None:
    first = message([("a", b"b")], EARLIER)

    replayed = message([*replay_headers(origin_of(first), 1), *own_headers(first)])

    assert origin_of(replayed) == EARLIER
    assert own_headers(replayed) == [("a", b"b")]
    assert id_of(replayed) == id_of(first) != id_of(message([]))


@pytest.mark.parametrize(
    "claimed",
    [
        EARLIER._replace(offset=100),
        EARLIER._replace(offset=101),
        EARLIER._replace(offset=10**17),
        EARLIER._replace(offset=-1),
        EARLIER._replace(partition=1),
        EARLIER._replace(topic="another"),
        EARLIER._replace(timestamp=math.nan),
        EARLIER._replace(timestamp=math.inf),
        EARLIER._replace(timestamp=1e300),
    ],
)
def test_no_message_takes_a_place_that_another_has_or_will_have(claimed: Origin) -> None:
    headers = replay_headers(claimed, 1)

    assert origin_of(message(headers)) == HERE
    assert own_headers(message(headers)) == headers
    assert id_of(message(headers)) == id_of(message([]))


@pytest.mark.parametrize(
    "headers",
    [
        [("a", b"b"), *replay_headers(EARLIER, 1)],
        replay_headers(EARLIER, 1)[:4],
        [*EARLIER.headers(), ("estela-replays", b"-1")],
        [*EARLIER.headers(), ("estela-replays", None)],
        [*reversed(replay_headers(EARLIER, 1))],
    ],
)
def test_headers_that_no_replay_writes_are_the_messages_own(headers: Headers) -> None:
    assert origin_of(message(headers)) == HERE
    assert own_headers(message(headers)) == headers


@given(HEADERS)
def test_headers_of_any_kind_make_no_difference_to_what_is_stored(headers: Headers) -> None:
    one = message(headers)

    assert origin_of(one)[:2] == HERE[:2]
    assert origin_of(one).offset <= HERE.offset
    assert math.isfinite(origin_of(one).timestamp)
    assert decode(one) is not None


@given(HEADERS)
def test_a_messages_own_headers_come_back_out_of_those_of_its_letter(headers: Headers) -> None:
    beside_ours = [*replay_headers(HERE, 1), ("estela-key", b"k"), *escaped(headers)]

    assert unescaped(beside_ours) == headers
