"""ESTELA_ITEMS is read as it is meant, or refused in one line that says what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy.settings import BaseSettings

from estela_queue_adapter.errors import ConfigurationError
from estela_scrapy.job.identity import Job
from estela_scrapy.routing.route import Route
from estela_scrapy.settings import ExtensionSettings
from tests.scrapy_side.routing.kinds_of_items import (
    HERE,
    Author,
    Book,
    Cheap,
    NoFilter,
    Open,
    Picky,
    Product,
    Review,
    Shop,
    is_cheap,
    later,
)

JOB = Job("1", "books", "shop")


def read(**settings: Any) -> ExtensionSettings:
    found = ExtensionSettings.from_scrapy(BaseSettings(settings), {})
    found.targets(JOB).check()
    return found


def route(options: Any, cls: Any = Product, **settings: Any) -> Route:
    [found] = read(ESTELA_ITEMS={cls: options}, **settings).routes
    return found


def refusal(**settings: Any) -> str:
    """Why they are refused; empty if they are not."""
    try:
        read(**settings)
    except ConfigurationError as error:
        return str(error)
    return ""


def test_an_entry_has_what_it_says_and_the_settings_for_all_items_in_the_place_of_the_rest() -> None:
    general = {
        "ESTELA_KEY": "name",
        "ESTELA_ON_EXISTING": "keep",
        "ESTELA_DATABASE": "{project}-data",
        "ESTELA_DATASET": "{spider}-{class}-{topic}",
    }
    own = {
        "key": ["sku", "name"],
        "on_existing": "track",
        "database": "d",
        "dataset": "c",
        "topic": "products",
    }

    inherited, said = route({}, **general), route(own, **general)

    assert (inherited.key, inherited.on_existing, inherited.topic) == (("name",), "keep", "items_topic")
    assert (inherited.database, inherited.dataset) == ("{project}-data", "{spider}-{class}-{topic}")
    assert (said.key, said.on_existing, said.topic) == (("sku", "name"), "track", "products")
    assert (said.database, said.dataset, said.metadata) == ("d", "c", True)


def test_the_default_of_on_existing_is_replace_and_without_a_key_there_is_none() -> None:
    assert route({"key": "sku"}).on_existing == "replace"
    assert route({}).on_existing == ""
    assert read(ESTELA_KEY="sku").default_route.on_existing == "replace"


@pytest.mark.parametrize("none", [None, "", [], ()])
def test_an_entry_may_do_without_the_key_of_all_others(none: Any) -> None:
    found = route({"key": none, "dataset": "c"}, ESTELA_KEY="sku", ESTELA_ON_EXISTING="track")

    assert (found.key, found.on_existing) == ((), "")


def test_a_key_wins_over_unique_and_unique_over_a_key_if_the_entry_says_so() -> None:
    assert route({"key": "sku", "dataset": "c"}, ESTELA_UNIQUE=True).unique is False
    unique = route({"unique": True, "dataset": "c"}, ESTELA_KEY="sku")
    assert (unique.unique, unique.key) == (True, ())


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        ({}, {}, True),
        ({"ESTELA_LAYOUT": "job"}, {}, False),
        ({"ESTELA_LAYOUT": "job"}, {"metadata": True}, True),
        ({"ESTELA_METADATA": False}, {}, False),
        ({"ESTELA_METADATA": False}, {"key": "sku"}, True),
        ({}, {"unique": True}, False),
    ],
)
def test_metadata_are_there_if_jobs_share_a_collection_and_always_with_a_key(
    settings: dict[str, Any], options: dict[str, Any], expected: bool
) -> None:
    assert route(options, **settings).metadata is expected


@pytest.mark.parametrize("given", ["sku,name", ["sku", "name"], "sku, name", '["sku", "name"]'])
def test_names_of_fields_are_a_text_or_a_list(given: Any) -> None:
    assert route({"key": given}).key == ("sku", "name")


def test_fields_are_a_list_or_a_mapping_of_names() -> None:
    assert route({"fields": ["sku", "name"]}).fields == {"sku": "sku", "name": "name"}
    assert route({"fields": {"sku": "article"}, "key": "article"}).fields == {"sku": "article"}


@pytest.mark.parametrize("given", [is_cheap, f"{HERE}.is_cheap", Cheap, f"{HERE}.Cheap", Cheap({})])
def test_a_filter_is_a_function_or_a_class_as_feeds_have_it(given: Any) -> None:
    accepts = route({"filter": given}).accepts

    assert accepts is not None
    assert (accepts(Product("a", 0.5)), accepts(Product("a", 2.0))) == (True, False)


def test_entries_are_for_classes_and_functions_themselves_or_by_their_import_path() -> None:
    routes = read(
        ESTELA_ITEMS={Book: {}, f"{HERE}.Product": {}, is_cheap: {"dataset": "cheap"}, dict: {}, object: {}}
    ).routes

    assert [each.name for each in routes] == ["Book", "Product", "is_cheap", "dict", "object"]
    assert [each.item_class for each in routes] == [Book, Product, None, dict, object]


def test_as_text_it_is_json() -> None:
    text = json.dumps({f"{HERE}.Review": {"key": ["id"], "metadata": False}})

    [found] = read(ESTELA_ITEMS=text).routes

    assert (found.item_class, found.key) == (Review, ("id",))


@pytest.mark.parametrize("nothing", [None, "", {}, "{}"])
def test_no_entries_are_none(nothing: Any) -> None:
    assert read(ESTELA_ITEMS=nothing).routes == ()


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (["a"], "is not a mapping of item classes"),
        ("[1]", "is not a mapping of item classes"),
        ("{", "is not JSON"),
        ({Product: "sku"}, "Product]=sku is not a mapping of options"),
        ({"nowhere.Product": {}}, "ESTELA_ITEMS[nowhere.Product]=nowhere.Product: ModuleNotFoundError"),
        ({f"{HERE}.Missing": {}}, "any object named 'Missing'"),
        ({"Product": {}}, "not a full path"),
        ({7: {}}, "is a int; an entry is for a class or a function"),
        ({f"{HERE}.HERE": {}}, "is a str; an entry is for a class or a function"),
        ({int: {}}, "no item is of that class"),
        ({later: {"dataset": "x"}}, "cannot be called here"),
        ({Product: {"keys": "sku"}}, "there is no option keys; did you mean key?"),
        ({Product: {"colour": "red"}}, "the valid ones are topic, dataset, database, key"),
        ({Product: {"key": "skuu"}}, "skuu is no field of the class; it declares sku, price, name"),
        ({Review: {"key": "skuu"}}, "skuu is no field of the class"),
        ({Author: {"fields": ["age"]}}, "age is no field of the class"),
        ({Shop: {"key": "name"}}, "name is no field of the class"),
        ({Product: {"key": "sku", "fields": ["name"]}}, "the key has sku, which is not among the published"),
        ({Product: {"fields": {"sku": "a", "name": "a"}}}, "names the field a twice"),
        ({Product: {"fields": []}}, "names no field"),
        ({Product: {"fields": {"sku": 1}}}, "does not map names of fields to names"),
        ({Product: {"key": ["sku", "sku"]}}, "names the field sku twice"),
        ({Product: {"key": 7}}, "is not the name of a field"),
        ({dict: {"key": [f"f{n}" for n in range(17)]}}, "has 17 fields; a key has 16 at most"),
        ({Product: {"key": "sku", "on_existing": "merge"}}, "choices are keep, replace, update, track"),
        ({Product: {"on_existing": "track"}}, "on_existing=track needs key"),
        ({Product: {"key": "sku", "unique": True}}, "key and unique exclude each other"),
        ({Product: {"unique": True, "metadata": True}}, "metadata and unique exclude each other"),
        ({Product: {"dataset": "{sku}"}}, "{sku} is not known; the valid ones are {spider}"),
        ({Product: {"database": "{class}"}}, "{class} is not known"),
        ({Product: {"dataset": "system.x"}}, "is not a user's"),
        ({Product: {"topic": "my topic"}}, "is no topic"),
        ({Product: {"topic": ""}}, "`filter` leaves items out"),
        ({Product: {"topic": "job_stats"}}, "is the topic of stats"),
        ({Product: {"topic": "jobs_topic"}}, "is the topic of another stream"),
        ({Product: {"topic": "items_topic_dead_letters"}}, "where the dead letters of items_topic go"),
        ({Product: {"dataset": "books.requests"}}, "share the collection shop/books.requests"),
        ({Product: {"key": "sku", "on_existing": "track", "dataset": "books"},
          Review: {"dataset": "books_changes"}}, "share the collection shop/books_changes"),
        ({Product: {"dataset": "c", "key": "sku"}, Review: {"dataset": "c", "key": "id"}}, "the same key"),
        ({Product: {"dataset": "c", "key": "sku"}, Review: {"dataset": "c"}}, "the same key"),
        ({Product: {}, Book: {}}, "Book] takes no item: ESTELA_ITEMS"),
        ({Product: {}, f"{HERE}.Product": {}}, "takes no item"),
        ({is_cheap: {"dataset": "{class}"}}, "give it a dataset"),
        ({Product: {"filter": NoFilter}}, "the class NoFilter has no method accepts(item)"),
        ({Product: {"filter": f"{HERE}.nothing"}}, "filter="),
        ({Product: {"filter": later}}, "cannot be called here"),
        ({Product: {"filter": Picky}}, "Picky(options) raises LookupError: no such shop"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_line(entries: Any, told: str) -> None:
    found = refusal(ESTELA_ITEMS=entries)

    assert told in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ESTELA_ON_EXISTING": "keep"}, "ESTELA_ON_EXISTING=keep needs ESTELA_KEY"),
        ({"ESTELA_ON_EXISTING": "best", "ESTELA_KEY": "sku"}, "the valid choices are keep"),
        ({"ESTELA_KEY": "sku", "ESTELA_UNIQUE": True}, "ESTELA_KEY and ESTELA_UNIQUE"),
        ({"ESTELA_METADATA": True, "ESTELA_UNIQUE": True}, "ESTELA_METADATA and ESTELA_UNIQUE"),
        ({"ESTELA_LAYOUT": "project"}, "the valid choices are job, spider, class"),
        (
            {"ESTELA_ITEMS_TOPIC": "", "ESTELA_ITEMS": {Product: {}}},
            "has no topic, and ESTELA_ITEMS_TOPIC is",
        ),
        ({"ESTELA_LAYOUT": "class", "ESTELA_ITEMS": {is_cheap: {}}}, "give it a dataset"),
        ({"ESTELA_ITEMS_TOPIC": "job_stats"}, "job_stats is the topic of stats"),
        ({"ESTELA_REQUESTS_TOPIC": "job_stats"}, "one document a job: request records need another"),
        ({"ESTELA_LOGS_TOPIC": "job_stats"}, "one document a job: log lines need another"),
        ({"ESTELA_KEY": "sku", "ESTELA_ITEMS": {Review: {"key": "id"}}}, "give both the same key"),
        ({"ESTELA_KEY": "sku", "ESTELA_ITEMS": {Review: {"key": None}}}, "give both the same key"),
    ],
)
def test_so_is_what_the_settings_for_all_items_say_together(settings: dict[str, Any], told: str) -> None:
    assert told in refusal(**settings)


def test_a_class_that_takes_any_field_or_declares_none_may_have_any_key() -> None:
    assert route({"key": "name"}, Open).key == ("name",)
    assert route({"key": "name"}, dict).key == ("name",)


_TEXT = st.text(max_size=20)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_OPTIONS = st.dictionaries(
    st.sampled_from(
        ["topic", "dataset", "database", "key", "on_existing", "unique", "metadata", "fields", "filter"]
    )
    | _TEXT,
    _ANYTHING,
    max_size=4,
)
_MATCHERS = st.sampled_from([Product, Book, Review, dict, is_cheap, f"{HERE}.Shop"]) | _TEXT | st.integers()


@given(st.dictionaries(_MATCHERS, _OPTIONS | _ANYTHING, max_size=3) | _ANYTHING)
def test_whatever_it_holds_it_is_read_or_refused_in_one_line(entries: Any) -> None:
    told = refusal(ESTELA_ITEMS=entries)

    assert "\n" not in told
    assert not told or "ESTELA_" in told
