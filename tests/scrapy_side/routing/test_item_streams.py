"""Which stream takes an item, and what it publishes of it."""

from __future__ import annotations

import logging
import re
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scrapy.http import Response
from scrapy.settings import BaseSettings

from estela_queue_adapter.serialization import deserialize
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.failures import ConversionLog, FailureLog, UnkeyedLog
from estela_scrapy.job.identity import Job
from estela_scrapy.records import ItemRecords
from estela_scrapy.routing.item_streams import ItemStreams
from estela_scrapy.settings import ExtensionSettings
from tests.scrapy_side.routing.kinds_of_items import (
    ADict,
    Author,
    Book,
    Product,
    Review,
    is_cheap,
    raises,
)

JOB = Job("1", "books", "shop")
PAGE = Response("http://books.example/1")


class Kept:
    """A publisher that keeps what it is given."""

    full = False

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, dict[str, Any]]] = []

    def put(self, stream: str, topic: str, data: bytes) -> None:
        self.messages.append((stream, topic, deserialize(data)))

    def accepted(self, stream: str) -> int:
        return sum(name == stream for name, _, _ in self.messages)


class World:
    """Items that are published by some settings."""

    def __init__(self, **settings: Any) -> None:
        found = ExtensionSettings.from_scrapy(BaseSettings(settings), {})
        targets = found.targets(JOB)
        targets.check()
        self.kept = Kept()
        self.streams = ItemStreams(cast(Publisher, self.kept), targets)
        self.unkeyed = UnkeyedLog()
        self._records = ItemRecords(
            self.streams, None, FailureLog(), ConversionLog(), self.unkeyed, found.types
        )

    def publish(self, *items: Any, page: Response | None = PAGE) -> list[tuple[str, dict[str, Any]]]:
        """Publish them; the stream and the payload of each message there is now."""
        for item in items:
            self._records.publish(item, page, cast(Any, SimpleNamespace(name="books")))
        return [(stream, envelope["payload"]) for stream, _, envelope in self.kept.messages]

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        return [envelope for _, _, envelope in self.kept.messages]

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """What the closing record says of each stream: published, failed, filtered."""
        records = [stream.record() for stream in self.streams]
        return {each.stream: (each.published, each.failed, each.filtered) for each in records}


def test_the_first_entry_that_fits_takes_the_item_and_a_subclass_fits_its_base() -> None:
    world = World(
        ESTELA_ITEMS={is_cheap: {"dataset": "cheap"}, Book: {}, Product: {}, dict: {"dataset": "d"}}
    )

    found = world.publish(
        Product("a"), Book("b"), Book("c", 0.5), Review(id=1), {"n": 1}, ADict(n=2), {"price": 0.1}
    )

    assert [stream for stream, _ in found] == [
        "items/Product",
        "items/Book",
        "items/is_cheap",
        "items",
        "items/dict",
        "items/dict",
        "items/is_cheap",
    ]


def test_an_envelope_carries_what_the_route_says() -> None:
    world = World(
        ESTELA_ITEMS={Product: {"topic": "p", "key": "sku", "on_existing": "track", "dataset": "{class}s"}}
    )

    world.publish(Product("a"), Review(id=1))

    product, review = world.envelopes
    assert (product["dataset_name"], product["key"], product["on_existing"]) == ("Products", ["sku"], "track")
    assert product["unique"] == "False"
    assert not {"key", "on_existing"} & set(review)
    assert [topic for _, topic, _ in world.kept.messages] == ["p", "items_topic"]


def test_metadata_name_the_page_if_there_is_one() -> None:
    world = World()

    world.publish({"n": 1}, {"n": 2})
    world.publish({"n": 3}, page=Response("http://books.example/é"))
    world.publish({"n": 4}, page=None)
    world.publish({"n": 5}, page=Response("data:," + "x" * 9_000))

    metadata = [envelope["metadata"] for envelope in world.envelopes]
    assert [each.get("url") for each in metadata] == [
        PAGE.url, PAGE.url, "http://books.example/é", None, None,
    ]  # fmt: skip
    assert all(each["scraped_at"].endswith("Z") and len(each["scraped_at"]) == 24 for each in metadata)


def test_fields_are_chosen_and_renamed_and_those_that_are_not_there_are_left_out() -> None:
    world = World(
        ESTELA_ITEMS={
            Product: {"fields": {"sku": "article", "price": "price"}, "key": "article"},
            Review: {"fields": ["text", "id"], "dataset": "reviews"},
        }
    )

    found = world.publish(Product("a", 2.0, "x"), Review(id=1), Review(text="t", id=2))

    assert [payload for _, payload in found] == [
        {"article": "a", "price": 2.0},
        {"id": 1},
        {"text": "t", "id": 2},
    ]
    assert world.unkeyed.items == 0


def test_what_is_chosen_keeps_its_type_and_says_so() -> None:
    world = World(ESTELA_ITEMS={dict: {"fields": ["day", "n"], "key": "day"}})

    world.publish({"day": date(2026, 1, 31), "n": 1}, {"day": "today", "n": 2, "left": date(2026, 1, 31)})

    dated, plain = world.envelopes
    assert (dated["types"], dated["payload"]["day"]) == ("bson", {"$date": "2026-01-31T00:00:00Z"})
    assert "types" not in plain
    assert {"metadata", "key", "on_existing"} <= set(dated)
    assert world.unkeyed.items == 0


@pytest.mark.parametrize("item", [None, "text", 7, [1], type("Odd", (), {})()])
def test_what_is_no_item_costs_itself_whatever_the_routes(item: Any) -> None:
    world = World(ESTELA_ITEMS={Product: {"key": "sku"}, raises: {"dataset": "x"}, object: {"dataset": "y"}})

    assert world.publish(item) == []
    assert sum(failed for _, failed, _ in world.counts().values()) == 1


def test_what_a_filter_leaves_out_is_counted_and_one_that_raises_costs_the_item() -> None:
    world = World(ESTELA_ITEMS={Product: {"filter": is_cheap}, Review: {"filter": raises}})

    found = world.publish(Product("a", 0.5), Product("b", 2.0), Review(id=1), Author("x"))

    assert [stream for stream, _ in found] == ["items/Product", "items"]
    assert world.counts() == {"items": (1, 0, 0), "items/Product": (1, 0, 1), "items/Review": (0, 1, 0)}


def test_a_function_that_raises_costs_the_item() -> None:
    world = World(ESTELA_ITEMS={raises: {"dataset": "x"}})

    assert world.publish(Product("a")) == []
    assert world.counts() == {"items": (0, 1, 0), "items/raises": (0, 0, 0)}


def test_items_that_go_nowhere_are_counted() -> None:
    world = World(ESTELA_ITEMS_TOPIC="", ESTELA_ITEMS={Product: {"topic": "products"}})

    world.publish(Product("a"), Review(id=1), {"n": 1})

    assert world.counts() == {"items": (0, 0, 2), "items/Product": (1, 0, 0)}


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, float("nan"), {1}, Decimal("NaN"), re.compile("a")])
def test_an_item_without_its_key_is_published_counted_and_named_once(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(ESTELA_KEY=["shop", "sku"])

    with caplog.at_level(logging.ERROR):
        found = world.publish(
            {"shop": "s", "sku": value}, {"shop": "s", "sku": value}, {"shop": "s", "sku": 1}
        )

    assert len(found) == 3
    assert world.unkeyed.items == 2
    [line] = [record.getMessage() for record in caplog.records]
    assert "Item without its key: dict: field sku" in line
    assert PAGE.url in line


def test_what_no_entry_takes_is_not_mixed_with_documents_that_are_told_apart_otherwise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(ESTELA_ITEMS={Product: {"key": "sku"}})

    found = world.publish(Product("a"), {"n": 1})

    assert [stream for stream, _ in found] == ["items/Product"]
    assert world.counts()["items"] == (0, 1, 0)
    assert "its collection shop/books is that of ESTELA_ITEMS" in caplog.text


def test_by_class_each_has_a_collection_and_a_stream_of_its_own() -> None:
    world = World(ESTELA_LAYOUT="class", ESTELA_ITEMS={Product: {"key": "sku"}})

    world.publish(Product("a"), Book("b"), Review(id=1), {"n": 1}, Author("x"))

    assert [(stream, envelope["dataset_name"]) for stream, _, envelope in world.kept.messages] == [
        ("items/Product", "Product"), ("items/Product", "Product"), ("items/Review", "Review"),
        ("items", "books"), ("items/Author", "Author"),
    ]  # fmt: skip


def test_classes_of_one_name_share_a_collection_and_no_stream_has_the_name_of_a_route() -> None:
    world = World(ESTELA_LAYOUT="class", ESTELA_ITEMS={Author: {"dataset": "people"}})
    others = [type("Author", (ADict,), {}), type("Author", (ADict,), {})]

    world.publish(Author("x"), others[0](n=1), others[1](n=2))

    assert [(stream, envelope["dataset_name"]) for stream, _, envelope in world.kept.messages] == [
        ("items/Author", "people"), ("items/Author-2", "Author"), ("items/Author-2", "Author"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["logs", "a" * 300])
def test_a_class_whose_name_is_no_collection_or_another_streams_costs_its_items(name: str) -> None:
    world = World(ESTELA_DATASET="books.{class}", ESTELA_LOGS_TOPIC="logs")

    assert world.publish(type(name, (ADict,), {})(n=1)) == []
    assert sum(failed for _, failed, _ in world.counts().values()) == 1


def test_classes_without_end_do_not_make_streams_without_end(caplog: pytest.LogCaptureFixture) -> None:
    world = World(ESTELA_LAYOUT="class")

    found = world.publish(*(type(f"C{number}", (ADict,), {})(n=number) for number in range(250)))

    streams = [stream for stream, _ in found]
    assert (len(set(streams)), streams.count("items")) == (201, 50)
    assert "more than 200 classes" in caplog.text
    assert sum(published for published, _, _ in world.counts().values()) == 250
