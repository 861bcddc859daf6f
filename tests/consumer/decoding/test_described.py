"""Messages with metadata and keys: hostile ones cost no more than what is wrong with them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import bson
import pytest
from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import Document
from estela_consumer.decoding.escaping import escape_document, unescape_document
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message

ID = "65b8f2a0" + "00" * 8
AT = datetime.fromisoformat("2026-01-31T09:30:15.123000")  # as bson gives it: UTC, without saying so


def decoded(payload: Any, **envelope: Any) -> Document:
    value = {"jid": "1.s.p", "id": ID, "payload": payload, **envelope}
    document = decode(Message("items", 0, 5, 0.0, None, json.dumps(value).encode(), ()))
    assert document is not None
    return document


def fields(document: Document) -> dict[str, Any]:
    return dict(bson.decode(document.bson))


def reason(payload: Any, **envelope: Any) -> Reason:
    with pytest.raises(BadMessage) as caught:
        decoded(payload, **envelope)
    return caught.value.reason


METADATA = {"url": "http://shop/ü", "scraped_at": "2026-01-31T09:30:15.123Z"}
KEYED = {"key": ["sku"], "on_existing": "replace", "metadata": METADATA}
ORIGIN = {"job": "1", "spider": "s", "project": "p"}


def test_metadata_become_a_subdocument_whose_times_are_dates() -> None:
    document = decoded({"n": 1}, metadata=METADATA)

    assert fields(document) == {
        "_id": ObjectId(ID), "n": 1, "_estela": {**ORIGIN, "url": "http://shop/ü", "scraped_at": AT},
    }  # fmt: skip
    assert document.version is None


def test_a_keyed_document_says_of_which_message_it_is_and_when_it_was_seen() -> None:
    document = decoded({"sku": "a", "n": 1}, **KEYED)
    stored = fields(document)

    assert stored["_estela"] == {
        "id": ObjectId(ID), "key": ["sku"], **ORIGIN, "url": "http://shop/ü", "scraped_at": AT,
        "first_seen": AT, "last_seen": AT, "revision": 1,
    }  # fmt: skip
    assert list(stored) == ["_id", "sku", "n", "_estela"]
    assert document.version is not None
    assert document.bson[document.version.content_end :].startswith(b"\x03_estela\x00")


def test_without_a_time_the_message_was_seen_when_its_id_was_made() -> None:
    ours = fields(decoded({"sku": 1}, **{**KEYED, "metadata": {}}))["_estela"]

    assert ours["first_seen"].replace(tzinfo=timezone.utc).timestamp() == int(ID[:8], 16)
    assert "scraped_at" not in ours
    assert "url" not in ours


@pytest.mark.parametrize(
    "metadata",
    [
        7, "x", [], [METADATA], {"url": 7, "scraped_at": 7}, {"url": None, "scraped_at": None},
        {"url": "\ud800", "scraped_at": "yesterday"},
        {"url": "x" * 8_193, "scraped_at": "2026-13-01T00:00:00Z"},
        {"url": ["http://shop/"], "scraped_at": "2026-01-31T09:30:15.123"}, {"scraped_at": "9" * 100_000},
        {"scraped_at": "2026-01-31T09:30:15+99:99"}, {"url": {"$gt": ""}, "job": "forged", "id": "forged"},
    ],
)  # fmt: skip
def test_hostile_metadata_cost_themselves(metadata: Any) -> None:
    assert fields(decoded({"n": 1}, metadata=metadata)) == {"_id": ObjectId(ID), "n": 1, "_estela": ORIGIN}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["url", "scraped_at"]), inner)
        ),
    ),
    st.sampled_from([{}, {"key": ["sku"], "on_existing": "track"}]),
)
def test_no_metadata_cost_the_message(metadata: Any, key: dict[str, Any]) -> None:
    stored = fields(decoded({"sku": "a"}, metadata=metadata, **key))

    assert stored["sku"] == "a"
    assert set(stored.get("_estela", {})) <= {
        *ORIGIN, "url", "scraped_at", "first_seen", "last_seen", "id", "key", "revision",
    }  # fmt: skip


def test_a_jid_that_is_none_names_no_job() -> None:
    names = {"db_name": "d", "dataset_name": "c"}

    stored = fields(decoded({"sku": 1}, **KEYED, **names, jid=["x"]))

    assert not ORIGIN.keys() & stored["_estela"].keys()


@pytest.mark.parametrize("name", ["_estela", "_id"])
def test_a_scraped_field_with_a_name_of_ours_is_stored_beside_it_and_read_back(name: str) -> None:
    payload = {"sku": 1, name: {"id": 7, "a.b": 1}}

    stored = fields(decoded(payload, **KEYED))
    plain = fields(decoded(payload))

    assert stored["_estela"]["id"] == ObjectId(ID)
    assert stored[f"\\u005f{name[1:]}"] == plain[f"\\u005f{name[1:]}"] == {"id": 7, "a\\u002eb": 1}
    assert unescape_document(escape_document(payload)) == payload


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        ({"key": "sku", "on_existing": "keep"}, Reason.BAD_ENVELOPE),
        ({"key": [], "on_existing": "keep"}, Reason.BAD_ENVELOPE),
        ({"key": ["sku", 7], "on_existing": "keep"}, Reason.BAD_ENVELOPE),
        ({"key": ["sku", "sku"], "on_existing": "keep"}, Reason.BAD_ENVELOPE),
        ({"key": ["sku"]}, Reason.BAD_ENVELOPE),
        ({"key": ["sku"], "on_existing": "merge"}, Reason.BAD_ENVELOPE),
        ({"key": ["sku"], "on_existing": ["keep"]}, Reason.BAD_ENVELOPE),
        ({"key": ["sku"], "on_existing": "keep", "id": "short"}, Reason.BAD_ENVELOPE),
        ({"key": ["none"], "on_existing": "keep"}, Reason.BAD_KEY),
        ({"key": ["list"], "on_existing": "keep"}, Reason.BAD_KEY),
        ({"key": ["sku", "null"], "on_existing": "keep"}, Reason.BAD_KEY),
        ({"key": ["nan"], "on_existing": "keep"}, Reason.BAD_KEY),
        ({"key": ["sku"], "on_existing": "track", "dataset_name": "c" * 250}, Reason.BAD_NAME),
    ],
)
def test_a_key_that_is_wrong_has_a_reason_of_its_own(envelope: dict[str, Any], expected: Reason) -> None:
    payload = {"sku": 1, "list": [1], "null": None, "nan": float("nan")}

    assert reason(payload, **envelope) is expected


def test_a_message_without_an_id_has_that_of_its_place() -> None:
    envelope = {"id": None, **KEYED}
    first, again = (decoded({"sku": 1}, **envelope).version for _ in range(2))

    assert first is not None
    assert again is not None
    assert first.id == again.id


def test_equal_items_are_one_document_whatever_pages_they_are_from() -> None:
    one, other = (
        decoded({"n": 1}, unique="True", metadata={"url": f"http://shop/{n}"}).bson for n in range(2)
    )

    assert one == other


def test_stats_have_no_key() -> None:
    value = {"jid": "1.s.p", "payload": {"sku": 1}, **KEYED}
    document = decode(Message("job_stats", 0, 5, 0.0, None, json.dumps(value).encode(), ()))

    assert document is not None
    assert fields(document) == {"_id": "s-1-job_stats", "sku": 1}
