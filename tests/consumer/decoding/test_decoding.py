from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import bson
import pytest
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode, decode_all
from estela_consumer.decoding.document import Document, same_content
from estela_consumer.decoding.drafts import MOST_TOGETHER
from estela_consumer.decoding.escaping import escape_document, unescape_document
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message
from tests.consumer.commands import envelope


def message(data: bytes | None, *, topic: str = "job_items", partition: int = 0, offset: int = 5) -> Message:
    return Message(topic, partition, offset, 1_700_000_000.5, None, data, ())


def document_of(value: Any, **where: Any) -> Document:
    document = decode(message(json.dumps(value).encode(), **where))
    assert document is not None
    return document


def reason_of(data: bytes) -> Reason:
    with pytest.raises(BadMessage) as caught:
        decode(message(data))
    return caught.value.reason


def test_a_tombstone_is_no_document() -> None:
    assert decode(message(None)) is None


def test_the_payload_is_the_document_and_nothing_is_added_but_its_id() -> None:
    document = document_of(envelope({"name": "a", "price": 1.5}, retries=3, need_upsert="True"))

    assert str(document.dataset) == "project/spider-1-job_items"
    assert bson.decode(document.bson) == {"_id": document.id, "name": "a", "price": 1.5}


def test_the_envelopes_id_is_the_documents() -> None:
    given_id = str(ObjectId())

    assert document_of(envelope({}, id=given_id)).id == ObjectId(given_id)


def test_what_is_nested_less_deeply_can_be_read_back_and_compared() -> None:
    payload = json.loads(nested(300))["payload"]

    for unique in ("False", "True"):
        document = document_of({"jid": "1.s.p", "payload": payload, "unique": unique})

        assert unescape_document(bson.decode(document.bson)) == {"_id": document.id, **payload}
        assert same_content(document.bson, bson.encode({"b": 1, **payload})) is False


KEYS = st.text("ab.$\\u0025ecf_id", max_size=9)
PAYLOADS = st.dictionaries(
    KEYS | st.just("_id"),
    st.recursive(
        st.none() | st.integers(-5, 5) | st.text('a.\\"\n', max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(PAYLOADS, st.booleans())
def test_every_key_is_escaped_and_comes_back(payload: dict[str, Any], ascii_only: bool) -> None:
    data = json.dumps({"jid": "1.s.p", "payload": payload}, ensure_ascii=ascii_only).encode()

    document = decode(message(data))

    assert document is not None
    assert bson.decode(document.bson) == {"_id": document.id, **escape_document(payload)}


@given(st.dictionaries(st.text(max_size=3).filter(lambda key: "\0" not in key), st.text(), max_size=3))
def test_the_id_is_put_before_what_bson_makes_of_the_rest(payload: dict[str, str]) -> None:
    for topic, jid in (("job_items", "1.spider.project"), ("job_stats", "1.spider.prüfung")):
        document = document_of({"jid": jid, "payload": payload, "id": "0" * 24}, topic=topic)
        rest = {key: value for key, value in bson.decode(document.bson).items() if key != "_id"}

        assert document.bson == bson.encode({"_id": document.id, **rest})


def test_without_an_id_the_place_in_the_topic_decides_it_on_every_delivery() -> None:
    one = document_of(envelope({"n": 1}), offset=5)
    again = document_of(envelope({"n": 1}), offset=5)
    next_one = document_of(envelope({"n": 1}), offset=6)
    elsewhere = document_of(envelope({"n": 1}), offset=5, partition=1)

    assert one.id == again.id
    assert isinstance(one.id, ObjectId)
    assert isinstance(next_one.id, ObjectId)
    assert one.id < next_one.id  # estela's readers page upwards
    assert elsewhere.id != one.id
    assert one.id.generation_time.timestamp() == 1_700_000_000


@pytest.mark.parametrize("field", ["id", "jid", "db_name", "dataset_name", "unique", "payload", "other"])
@pytest.mark.parametrize("opened", ["[", '{"a":'])
def test_no_depth_of_any_field_exhausts_the_stack(field: str, opened: str) -> None:
    """Given every depth up to where the parser gives up: just before it, little of the stack is left."""
    closed = "]" if opened == "[" else "}"
    for depth in (*range(900, 1_005), 5_000):
        fields = {"jid": '"1.s.p"', "payload": "{}", field: opened * depth + "1" + closed * depth}
        data = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"
        with contextlib.suppress(BadMessage):
            decode(message(data.encode()))


def test_a_message_without_end_is_too_large_before_it_is_parsed() -> None:
    assert (
        reason_of(b'{"jid":"1.s.p","payload":{}' + b" " * (6 * 16 * 1024 * 1024) + b"}") is Reason.TOO_LARGE
    )


def test_a_jid_of_any_kind_and_size_is_passed_over_where_both_names_are_given() -> None:
    named = {"db_name": "d", "dataset_name": "c", "payload": {"n": 1}}

    for jid in (None, 7, ["1.s.p"], {"a": 1}, "x" * 100_000):
        assert str(document_of({**named, "jid": jid}).dataset) == "d/c"
    assert reason_of(json.dumps({"jid": "1.s." + "p" * 2_000, "payload": {}}).encode()) is Reason.BAD_NAME


@pytest.mark.parametrize("unique", ["True", True])
def test_equal_items_of_a_unique_dataset_share_an_id_whatever_the_order_of_their_keys(unique: Any) -> None:
    one = document_of({**envelope({"a": 1, "b": [None]}, id=str(ObjectId())), "unique": unique})
    same = document_of({**envelope({"b": [None], "a": 1}), "unique": unique}, offset=9)
    other = document_of({**envelope({"a": 1, "b": [math.nan]}), "unique": unique})

    assert one.id == same.id
    assert other.id != one.id


def test_stats_are_one_document_a_job() -> None:
    document = document_of(envelope({"item_scraped_count": 3}, jid="7.books.shop"), topic="job_stats")

    assert str(document.dataset) == "shop/job_stats"
    assert document.id == "books-7-job_stats"


def test_not_a_number_and_infinity_are_kept() -> None:
    stored = bson.decode(document_of(envelope({"a": math.nan, "b": math.inf})).bson)

    assert math.isnan(stored["a"])
    assert stored["b"] == math.inf


def nested(depth: int) -> bytes:
    return b'{"jid":"1.s.p","payload":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.UNDECODABLE),
        (b"rubbish", Reason.UNDECODABLE),
        (b"\xff\xfe", Reason.UNDECODABLE),
        (b'{"jid":"1.s.p","payload":{', Reason.UNDECODABLE),
        (b"[]", Reason.BAD_ENVELOPE),
        (b"null", Reason.BAD_ENVELOPE),
        (b'"text"', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p"}', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p","payload":null}', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p","payload":[1]}', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p","payload":{},"id":"xyz"}', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p","payload":{},"id":7}', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p","payload":{},"id":["aa"]}', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p","payload":{},"id":"6748a1b2c3 4e5f60718293a"}', Reason.BAD_ENVELOPE),
        (b'{"jid":"1.s.p","payload":{},"id":"6748a1b2c3d4 e5f60718293a4"}', Reason.BAD_ENVELOPE),
        (b'{"payload":{}}', Reason.BAD_NAME),
        (b'{"jid":["1.s.p"],"payload":{}}', Reason.BAD_NAME),
        (b'{"jid":"1.s.admin","payload":{}}', Reason.BAD_NAME),
        (b'{"jid":"1.s.p","payload":{"n":9223372036854775808}}', Reason.BAD_VALUE),
        (b'{"jid":"1.s.p","payload":{"n":123456789012345678901234567890}}', Reason.BAD_VALUE),
        (b'{"jid":"1.s.p","payload":{"a\\u0000b":1}}', Reason.BAD_VALUE),
        (b'{"jid":"1.s.p","payload":{"a":"\\ud800"}}', Reason.BAD_VALUE),
        (nested(301), Reason.BAD_VALUE),
        (nested(950), Reason.BAD_VALUE),
        (nested(100_000), Reason.BAD_VALUE),
        (b'{"jid":"1.s.p","payload":{"a":' + b"[" * 950 + b"]" * 950 + b"}}", Reason.BAD_VALUE),
        (b'{"jid":"1.s.p","payload":{"a":"' + b"x" * 16 * 1024 * 1024 + b'"}}', Reason.TOO_LARGE),
    ],
)
def test_a_bad_message_says_why(data: bytes, reason: Reason) -> None:
    assert reason_of(data) is reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "jid": JSON | st.just("1.s.p"),
        "payload": JSON,
        "unique": JSON | st.sampled_from(["True", "False"]),
        "id": JSON | st.just("a" * 24),
        "db_name": JSON,
        "dataset_name": JSON,
    },
)


@given(st.binary() | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode()))
def test_every_input_is_a_document_or_a_bad_message(data: bytes) -> None:
    try:
        document = decode(message(data))
    except BadMessage:
        return

    assert document is not None
    assert next(iter(bson.decode(document.bson))) == "_id"


MESSAGES = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.builds(
        lambda payload, fields: json.dumps({"jid": "1.s.p", **fields, "payload": payload}).encode(),
        st.one_of(PAYLOADS, st.just({"n": 2**70}), st.just({"text": "\ud800"}), st.just(7)),
        st.fixed_dictionaries(
            {},
            optional={
                "id": st.sampled_from(["0" * 24, "no id", 5]),
                "unique": st.sampled_from(["True", "False", True, []]),
                "jid": st.sampled_from(["2.s.p", "no jid", [], None]),
                "dataset_name": st.sampled_from(["c", "", []]),
                "types": st.just("bson"),
                "key": st.sampled_from([["a"], ["n"], "n", []]),
                "on_existing": st.sampled_from(["replace", "nothing"]),
                "metadata": st.sampled_from([{"url": "u"}, [], 5]),
            },
        ),
    ),
)


def decoded_alone(one: Message) -> Document | tuple[Reason, str] | None:
    try:
        return decode(one)
    except BadMessage as error:
        return error.reason, str(error)


@given(st.lists(MESSAGES, max_size=MOST_TOGETHER + 3), st.sampled_from(["job_items", "job_stats"]))
def test_a_message_becomes_the_same_whatever_its_neighbours_are(sent: list[bytes | None], topic: str) -> None:
    messages = [message(data, topic=topic, offset=offset) for offset, data in enumerate(sent)]

    together = [
        (one.reason, str(one)) if isinstance(one, BadMessage) else one for one in decode_all(messages)
    ]

    assert together == [decoded_alone(one) for one in messages]
