"""The `_id` of a document is decided by its message alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.identity import content_id, identity_of
from estela_consumer.errors import BadMessage
from estela_queue_adapter import Message
from estela_queue_adapter.errors import BadName
from estela_wire.envelope import Envelope
from estela_wire.headers import origin_of, replay_headers

ID = "65b9f1a2" + "ab" * 5 + "000007"


def message(topic: str = "job_items", offset: int = 7, headers: Any = ()) -> Message:
    return Message(topic, 1, offset, 1_700_000_000.5, None, b"", headers)


@pytest.mark.parametrize(
    ("topic", "fields", "identity"),
    [
        ("job_stats", {"jid": "7.books.shop", "unique": "True", "id": ID}, "books-7-job_stats"),
        ("job_items", {"unique": "True", "id": ID}, content_id({"n": 1})),
        ("job_items", {"unique": True, "id": "not an id"}, content_id({"n": 1})),
        ("job_items", {"unique": "False", "id": ID}, bytes.fromhex(ID)),
        ("job_items", {"id": ID.upper()}, bytes.fromhex(ID)),
    ],
)
def test_the_first_of_stats_content_and_id_decides(
    topic: str, fields: dict[str, Any], identity: bytes | str
) -> None:
    assert identity_of(message(topic), Envelope({"n": 1}, **fields)) == identity


def test_a_message_without_an_id_has_that_of_its_first_place_in_the_topic() -> None:
    first = message(offset=7)
    replayed = message(offset=9, headers=replay_headers(origin_of(first), 1))
    envelope = Envelope({"n": 1})

    identity = identity_of(first, envelope)

    assert isinstance(identity, bytes)
    assert (int.from_bytes(identity[:4], "big"), identity[9:]) == (1_700_000_000, b"\0\0\7")
    assert identity_of(replayed, envelope) == identity
    assert identity_of(message(offset=9), envelope) != identity


def test_an_id_or_a_jid_that_is_none_is_an_error() -> None:
    with pytest.raises(BadMessage, match="is not 24 hex digits"):
        identity_of(message(), Envelope({}, id=" " * 24))
    with pytest.raises(BadName, match="is not <job>"):
        identity_of(message("job_stats"), Envelope({}, id=ID))


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.floats() | st.text(max_size=3), min_size=2))
def test_the_order_of_keys_does_not_decide(payload: dict[str, Any]) -> None:
    backwards = dict(reversed(payload.items()))

    assert content_id(backwards) == content_id(payload)
