"""Items and requests as payloads, compared with what Scrapy's own feed writes."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import enum
import functools
import gc
import io
import json
import math
import re
import weakref
from collections import OrderedDict, UserDict
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import pydantic
import pytest
import scrapy
from scrapy.exporters import JsonItemExporter
from scrapy.http import Request, Response

from estela_queue_adapter.errors import ConfigurationError, SerializationError
from estela_queue_adapter.serialization.writing import Converted
from estela_scrapy.job.identity import identify
from estela_scrapy.payloads import ItemSerializer, request_payload
from estela_scrapy.routing.loading import load_serializer
from estela_wire.jid import new_job_id, time_of_job

NOW = datetime.datetime(2026, 1, 31, 9, 30, 15, 123456, tzinfo=datetime.timezone.utc)


@dataclasses.dataclass
class Stock:
    place: str
    since: datetime.date


@attrs.define
class Maker:
    name: str
    stock: Stock


class Thing(scrapy.Item):
    name = scrapy.Field()
    price = scrapy.Field(serializer=lambda price: f"{price} EUR")
    maker = scrapy.Field()


class Priced(scrapy.Item):
    price = scrapy.Field(serializer=float)


class Parcel(scrapy.Item):
    weight = scrapy.Field(serializer=lambda weight: f"{weight} kg")
    goods = scrapy.Field()


@attrs.define(slots=False)
class Raising:
    name: str = ""

    def __getattribute__(self, name: str) -> Any:
        if name == "name":
            raise RuntimeError("no name")
        return super().__getattribute__(name)


class Level(enum.IntEnum):
    LOW = 1


def by_scrapys_feed(item: Any) -> Any:
    file = io.BytesIO()
    exporter = JsonItemExporter(file)
    exporter.start_exporting()
    exporter.export_item(item)
    exporter.finish_exporting()
    return json.loads(file.getvalue())[0]


@pytest.mark.parametrize(
    "item",
    [
        {"name": "ü", "price": Decimal("1.10"), "tags": {"a"}, "none": None, "nested": [1, {"x": (2, 3)}]},
        pytest.param(
            {"at": NOW, "on": NOW.date(), "time": NOW.time(), "naive": NOW.replace(tzinfo=None)},
            marks=pytest.mark.skipif(scrapy.version_info < (2, 18), reason="its feed has no time zones"),
        ),
        {"keys": {1: "number", None: "none", False: "false"}},
        {"big": 2**70, "float": 0.1, "nan": math.inf, "surrogate": "\ud800"},
        {"request": Request("http://a/"), "response": Response("http://a/")},
        {"stock": Stock("Lima", NOW.date()), "makers": [Maker("m", Stock("Oslo", NOW.date()))]},
        Stock("Lima", NOW.date()),
        Maker("m", Stock("Oslo", NOW.date())),
        Thing(name="kettle", price=3, maker=Maker("m", Stock("Oslo", NOW.date()))),
        Thing(name="only a name"),
    ],
)  # fmt: skip
def test_an_item_is_written_as_scrapys_json_feed_writes_it(item: Any) -> None:
    assert json.loads(ItemSerializer().serialize(item)) == by_scrapys_feed(item)


def test_what_json_has_no_word_for_costs_no_item() -> None:
    item = Thing(name=b"kettle", price=datetime.timedelta(seconds=3), maker=[1j, {2: {"b", "a"}}])

    assert json.loads(ItemSerializer().serialize(item)) == {
        "name": "kettle", "price": "0:00:03 EUR", "maker": ["1j", {"2": ["a", "b"]}],
    }  # fmt: skip


@pytest.mark.parametrize("item", [MappingProxyType({"a": 1}), UserDict(a=1), OrderedDict(a=1)], ids=repr)
def test_mappings_are_items(item: Any) -> None:
    assert json.loads(ItemSerializer().serialize(item)) == {"a": 1}


def test_a_fields_serializer_is_applied_in_nested_items_too() -> None:
    item = {"things": [Thing(price=3), Parcel(weight=2, goods=Thing(price=4))]}

    assert json.loads(ItemSerializer().serialize(item)) == {
        "things": [{"price": "3 EUR"}, {"weight": "2 kg", "goods": {"price": "4 EUR"}}]
    }


def test_a_serializer_that_uses_up_its_value_is_called_once() -> None:
    """Given neighbours that make the item be written in another way than at first tried."""
    called = []

    def used_up(given: Any) -> list[Any]:
        called.append(given)
        return list(given)

    class Used(scrapy.Item):
        given = scrapy.Field(serializer=used_up)

    item = {"used": Used(given=iter([1, 2])), "odd": object(), "none": None, 1: 2}

    assert json.loads(ItemSerializer().serialize(item))["used"] == {"given": [1, 2]}
    assert len(called) == 1


def test_fields_that_an_item_is_given_later_have_their_serializers() -> None:
    class Grown(scrapy.Item):
        pass

    serializer = ItemSerializer()
    first, second = Grown(), Grown()
    first.fields["a"] = scrapy.Field()
    first["a"] = 1
    serializer.serialize(first)
    second.fields["price"] = scrapy.Field(serializer=lambda price: f"{price} EUR")
    second["price"] = 3

    assert json.loads(serializer.serialize(second)) == by_scrapys_feed(second) == {"price": "3 EUR"}


def test_classes_that_are_made_for_one_item_are_freed() -> None:
    serializer = ItemSerializer()
    classes: list[Any] = [
        type("Page", (scrapy.Item,), {"x": scrapy.Field()}),
        dataclasses.make_dataclass("Page", [("x", int, dataclasses.field(metadata={"serializer": str}))]),
        attrs.make_class("Page", ["x"]),
        type("Page", (), {"__init__": lambda self, x: None}),
    ]
    if scrapy.version_info < (2, 18):  # it keeps them itself
        del classes[0]
    made = [weakref.ref(cls) for cls in classes]
    for cls in classes[:-1]:
        serializer.serialize(cls(x=1))
    serializer.serialize({"nested": [cls(x=1) for cls in classes]})
    classes.clear()
    del cls
    gc.collect()

    assert [ref() for ref in made] == [None] * len(made)


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (None, "not an item; a pipeline that ends without `return item` gives None"),
        ("text", "not an item; a dict is one"),
        ([{"a": 1}], "not an item"),
        (Thing, "not an item"),
        (Priced(price="n/a"), "^price: ValueError: could not convert string to float: 'n/a'$"),
        (Priced(price=None), r"^price: TypeError: float\(\) argument"),
        ({"deep": [1, Priced(price="n/a")]}, r"^deep\[1\]\.price: ValueError"),
        ({"deep": [None, Priced(price=None)]}, r"^deep\[1\]\.price: TypeError"),
        (Raising(), "^name: RuntimeError: no name$"),
    ],
)
def test_an_item_that_cannot_be_written_is_an_error_that_names_the_field(item: Any, told: str) -> None:
    with pytest.raises(SerializationError, match=told):
        ItemSerializer().serialize(item)


def test_a_function_of_the_users_own_is_asked_before_all_others() -> None:
    asked = []

    def own(value: Any) -> Any:
        asked.append(value)
        if isinstance(value, Stock):
            return {"at": value.since, "in": value.place.encode()}
        if isinstance(value, enum.Enum):
            return value.name
        raise TypeError

    day = datetime.date(2026, 1, 2)
    item = {"stock": [Stock("Lima", day)], "level": Level.LOW, "tags": {"b", "a"}, "plain": [1, "a", None]}

    written = json.loads(ItemSerializer(own).serialize(item))

    assert written == {
        "stock": [{"at": "2026-01-02", "in": "Lima"}], "level": "LOW", "tags": ["a", "b"],
        "plain": [1, "a", None],
    }  # fmt: skip
    assert len(asked) == 5


def test_a_function_that_forgets_to_return_changes_nothing() -> None:
    def forgetful(value: Any) -> Any:
        if isinstance(value, Stock):
            value.place.encode()

    item = {"at": NOW.date(), "price": Decimal(1), "stock": Stock("Lima", NOW.date()), "nothing": None}

    assert ItemSerializer(forgetful).serialize(item) == ItemSerializer().serialize(item)


class Lenient(pydantic.BaseModel, extra="allow"):
    name: str


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_pydantic_model_was_given_beyond_its_fields_is_written(nested: bool) -> None:
    model = Lenient.model_validate({"name": "kettle", "colour": b"red"})

    written = json.loads(ItemSerializer().serialize({"model": model} if nested else model))

    assert (written["model"] if nested else written) == {"name": "kettle", "colour": "red"}


class Unlooked(type):
    def __getattr__(cls, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class Opaque(metaclass=Unlooked):
    def __str__(self) -> str:
        return "opaque"


def test_a_value_whose_class_cannot_be_looked_at_is_written_as_its_text() -> None:
    converted: list[Converted] = []

    written = json.loads(ItemSerializer().serialize({"a": [Opaque()]}, converted))

    assert written == {"a": ["opaque"]}
    assert [where for where, _ in converted] == ["a[0]"]


def test_an_error_in_a_function_of_the_users_own_costs_the_item() -> None:
    def own(value: Any) -> Any:
        raise KeyError("rate")

    with pytest.raises(SerializationError, match=r"^a\.b: KeyError: 'rate'$"):
        ItemSerializer(own).serialize({"a": {"b": Decimal(1)}})


@pytest.mark.parametrize("given", [None, ""])
def test_without_a_function_of_the_users_own_there_is_none(given: Any) -> None:
    assert load_serializer("ESTELA_SERIALIZER", given) is None


@pytest.mark.parametrize("given", [str, "builtins.str", "json.dumps", Level.LOW.__format__])
def test_a_function_is_named_or_given(given: Any) -> None:
    assert callable(load_serializer("ESTELA_SERIALIZER", given))


class Later:
    async def __call__(self, value: Any) -> Any:
        return value


class Several:
    def __call__(self, value: Any) -> Any:
        yield value


def generating(value: Any) -> Any:
    yield value


async def generating_later(value: Any) -> Any:
    yield value


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("to_json", "ESTELA_SERIALIZER=to_json"),
        ("no_such_module.to_json", "No module named 'no_such_module'"),
        ("json.to_json", "to_json"),
        ("json.decoder", "is of the type module, which cannot be called"),
        ("asyncio.sleep", "is a coroutine or a generator function"),
        (Later(), "cannot be called here"),
        (functools.partial(asyncio.sleep, 1), "cannot be called here"),
        (Several(), "cannot be called here"),
        (generating, "cannot be called here"),
        (generating_later, "cannot be called here"),
        ("operator.add", "does not take one value"),
        (7, "ESTELA_SERIALIZER=7"),
        ("raising_at_import.to_json", "ZeroDivisionError"),
    ],
)
def test_what_names_no_function_is_told_with_what_to_do(
    given: Any, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raising_at_import.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigurationError, match=re.escape(told)) as caught:
        load_serializer("ESTELA_SERIALIZER", given)
    assert "it names a function that takes one value" in str(caught.value)


def test_a_request_is_recorded_as_estela_records_it() -> None:
    request = Request("http://a/b?c=d", method="POST")
    response = Response("http://a/b?c=d", status=201, body=b"12345")

    assert json.loads(request_payload(request, response, 0.0216, b"\x01\xff", NOW)) == {
        "url": "http://a/b?c=d", "status": 201, "method": "POST", "duration": 22,
        "time": "31/01/2026 09:30:15.123", "response_size": 5, "fingerprint": "01ff",
    }  # fmt: skip
    assert json.loads(request_payload(request, None, 1.0, b"", NOW))["status"] == 0


def test_a_job_is_named_after_the_spider_and_the_project_with_an_id_that_sorts_by_time() -> None:
    job = identify("books.example", "my shop", {}, now=NOW)

    assert (job.spider, job.project) == ("books_example", "my_shop")
    assert job.job.startswith("20260131T093015123-")
    assert len(job.jid.split(".")) == 3
    assert new_job_id(NOW) != new_job_id(NOW)
    assert time_of_job(new_job_id(NOW)) == NOW.replace(microsecond=NOW.microsecond // 1000 * 1000).timestamp()
    assert new_job_id(NOW) < new_job_id(NOW + datetime.timedelta(milliseconds=1))


def test_the_parts_of_a_crawl_that_is_paused_and_resumed_are_one_job(tmp_path: Path) -> None:
    folder = str(tmp_path / "crawl-1")

    jobs = [identify("s", "p", {}, jobdir=folder).job for _ in range(2)]

    assert len(set(jobs)) == 1
    assert identify("s", "p", {}, jobdir=str(tmp_path / "crawl-2")).job not in jobs
    assert identify("s", "p", {"ESTELA_SPIDER_JOB": "7.s.p"}, jobdir=folder).job == "7"


@pytest.mark.parametrize("kept", [b"../../etc\n", b"\xff"])
def test_an_id_that_is_none_is_told_with_its_place(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "estela-job-id").write_bytes(kept)

    with pytest.raises(ConfigurationError, match="estela-job-id"):
        identify("s", "p", {}, jobdir=str(tmp_path))


def test_estelas_variables_name_the_job() -> None:
    job = identify("x", "y", {"ESTELA_SPIDER_JOB": "7.s.p", "ESTELA_COLLECTION": "scj3.s.p"})

    assert (job.jid, job.items_jid) == ("7.s.p", "scj3.s.p")


@pytest.mark.parametrize(
    ("project", "environ", "told"),
    [
        ("p", {"ESTELA_SPIDER_JOB": "7"}, "ESTELA_SPIDER_JOB=7"),
        ("p", {"ESTELA_SPIDER_JOB": "7..p"}, "ESTELA_SPIDER_JOB"),
        ("p", {"ESTELA_COLLECTION": "7"}, "ESTELA_COLLECTION=7"),
    ],
)
def test_a_jid_that_has_not_three_parts_is_refused(project: str, environ: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        identify("s", project, environ)
