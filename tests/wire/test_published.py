"""The topics that a consumer reads if none is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.settings import Variables
from estela_wire.published import PREFIX, PublishedTopic, published_topics


def topics(entries: Any, **environ: str) -> list[PublishedTopic]:
    return published_topics((Variables(environ, PREFIX, origin="here"),), entries, "there")


@pytest.mark.parametrize("as_text", [False, True])
def test_those_of_routes_are_among_them_once_each(as_text: bool) -> None:
    entries = {
        "a.B": {"topic": "books"},
        "a.C": {"topic": "items_topic"},
        "a.D": {},
        "a.E": {"topic": "books"},
    }

    found = topics(json.dumps(entries) if as_text else entries, ESTELA_REQUESTS_TOPIC="")

    assert found == [
        PublishedTopic("items_topic", "ESTELA_ITEMS_TOPIC", ""),
        PublishedTopic("books", "ESTELA_ITEMS", "there"),
    ]


@pytest.mark.parametrize("entries", [None, "", {}, 7, ["x"], {"a.B": None}, {"a.B": {"topic": None}}, "[1]"])
def test_what_names_no_topic_adds_none(entries: Any) -> None:
    assert [each.topic for each in topics(entries)] == ["items_topic", "requests_topic"]


@pytest.mark.parametrize("entries", ["{", {"a.B": {"topic": "no topic"}}, {"a.B": {"topic": {}}}])
def test_what_is_no_topic_is_refused(entries: Any) -> None:
    with pytest.raises(ConfigurationError, match="ESTELA_ITEMS"):
        topics(entries)
