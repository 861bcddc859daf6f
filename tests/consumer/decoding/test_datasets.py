from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message
from estela_queue_adapter.serialization import serialize
from estela_wire.dataset import Dataset


def dataset_of(topic: str, jid: Any, db_name: Any, dataset_name: Any) -> Dataset:
    """The dataset of a message whose envelope has these."""
    envelope = {"jid": jid, "db_name": db_name, "dataset_name": dataset_name, "payload": {}}
    document = decode(Message(topic, 0, 0, 0.0, None, serialize(envelope), ()))
    assert document is not None
    return document.dataset


def test_names_are_made_of_the_jid() -> None:
    assert dataset_of("job_items", "12.books.shop", None, None) == Dataset("shop", "books-12-job_items")


def test_names_in_the_envelope_win() -> None:
    assert dataset_of("t", "1.s.p", "db", None) == Dataset("db", "s-1-t")
    assert dataset_of("t", "1.s.p", None, "set") == Dataset("p", "set")
    assert dataset_of("t", None, "db", "set") == Dataset("db", "set")


def test_stats_of_all_jobs_share_a_collection() -> None:
    assert dataset_of("job_stats", "12.books.shop", None, None) == Dataset("shop", "job_stats")


@pytest.mark.parametrize("jid", [None, 7, "", "a", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b."])
def test_a_malformed_jid_is_a_bad_name(jid: Any) -> None:
    with pytest.raises(BadMessage, match="is not <job>") as caught:
        dataset_of("t", jid, None, None)

    assert caught.value.reason is Reason.BAD_NAME


@pytest.mark.parametrize(
    ("database", "collection"),
    [
        ("admin", "c"), ("config", "c"), ("local", "c"), ("Admin", "c"),
        ("a/b", "c"), ("a\\b", "c"), ("a.b", "c"), ("a b", "c"), ('a"b', "c"), ("a$b", "c"), ("a\0b", "c"),
        ("a*b", "c"),
        ("d", "system.users"), ("d", "a$b"), ("d", "a\0b"), ("d", ".a"), ("d", "a."), ("d", "a..b"),
        ("d" * 64, "c"), ("ü" * 32, "c"), ("d", "c" * 255), ("d\ud800", "c"), ("d", 7), (["d"], "c"),
    ],
)  # fmt: skip
def test_names_that_reach_outside_or_that_mongodb_refuses_are_bad(database: Any, collection: Any) -> None:
    with pytest.raises(BadMessage):
        dataset_of("t", "1.s.p", database, collection)


@given(st.text(), st.text())
def test_any_two_strings_are_a_dataset_or_a_bad_message(database: str, collection: str) -> None:
    try:
        dataset = dataset_of("topic", "1.s.p", database, collection)
    except BadMessage:
        return

    assert dataset.database not in ("admin", "config", "local")
    assert not set('/\\. "$*<>:|?\0') & set(dataset.database)
    assert not set("$\0") & set(dataset.collection)
