"""Items whose values keep their types, whatever kind of item holds them and whoever writes them."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from typing import Any

import attrs
import bson
import numpy as np
import pydantic
import pytest
import scrapy

from estela_queue_adapter.serialization import serialize
from estela_queue_adapter.serialization.writing import Converted
from estela_scrapy.payloads import ItemSerializer
from estela_scrapy.settings import ExtensionSettings
from tests.scrapy_side.test_settings import read

DAY = datetime.date(2026, 1, 31)
ON_THE_WIRE = {"$date": "2026-01-31T00:00:00Z"}


@dataclasses.dataclass
class Stock:
    since: datetime.date


@attrs.define
class Maker:
    stock: Stock
    amount: decimal.Decimal


class Model(pydantic.BaseModel, extra="allow"):
    day: datetime.date
    id: uuid.UUID


class Thing(scrapy.Item):
    day = scrapy.Field(serializer=lambda day: day.isoformat())
    parsed = scrapy.Field(serializer=datetime.date.fromisoformat)
    inner = scrapy.Field()


class Kind(enum.Enum):
    ID = uuid.UUID(int=7)
    DAY = DAY


def written(item: Any, own: Any = None) -> Any:
    converted: list[Converted] = []
    payload = ItemSerializer(own, "bson").serialize(item, converted)
    assert not converted
    return json.loads(payload)


@pytest.mark.parametrize("own", [None, lambda _: NotImplemented], ids=["by itself", "after the user's own"])
@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (Stock(DAY), {"since": ON_THE_WIRE}),
        (Maker(Stock(DAY), decimal.Decimal("1.10")),
         {"stock": {"since": ON_THE_WIRE}, "amount": {"$numberDecimal": "1.10"}}),
        (Model.model_validate({"day": DAY, "id": uuid.UUID(int=7), "more": b"x"}),
         {"day": ON_THE_WIRE, "id": {"$uuid": str(uuid.UUID(int=7))},
          "more": {"$binary": {"base64": "eA==", "subType": "00"}}}),
        (Thing(day=DAY, parsed="2026-01-31", inner=[Thing(parsed="2026-01-31")]),
         {"day": "2026-01-31", "parsed": ON_THE_WIRE, "inner": [{"parsed": ON_THE_WIRE}]}),
        ({DAY}, [ON_THE_WIRE]),
        ((DAY, None), [ON_THE_WIRE, None]),
        ((day for day in [DAY]), [ON_THE_WIRE]),
        ([Kind.DAY, Kind.ID], [ON_THE_WIRE, {"$uuid": str(uuid.UUID(int=7))}]),
        (bytearray(b"x"), {"$binary": {"base64": "eA==", "subType": "00"}}),
        (memoryview(b"x"), {"$binary": {"base64": "eA==", "subType": "00"}}),
        (bson.SON([("b", 1), ("a", DAY)]), {"b": 1, "a": ON_THE_WIRE}),
        (bson.Code("f()"), "f()"),
        (bson.DBRef("c", bson.Int64(5)), {"$$ref": "c", "$$id": {"$numberLong": "5"}}),
        ({DAY: DAY, (1, DAY, 2**70, uuid.UUID(int=7)): 1},
         {"2026-01-31": ON_THE_WIRE,
          '[1,"2026-01-31",1180591620717411303424,"00000000-0000-0000-0000-000000000007"]': 1}),
        ([np.datetime64("2026-01-31"), np.float64(1.5), np.bytes_(b"x"), np.int64(2**60)],
         ["2026-01-31", 1.5, {"$binary": {"base64": "eA==", "subType": "00"}}, 2**60]),
        ([datetime.time(9, 30), datetime.timedelta(1)], ["09:30:00", 86400.0]),
        ([uuid.UUID(int=7), None, bson.Int64(5), math.inf],
         [{"$uuid": str(uuid.UUID(int=7))}, None, {"$numberLong": "5"}, math.inf]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_keep_their_types_in_items_of_every_kind(value: Any, wire: Any, own: Any) -> None:
    if hasattr(value, "__next__"):
        value = list(value) if own else (day for day in [DAY])
    assert written({"v": value, "at": DAY}, own) == {"v": wire, "at": ON_THE_WIRE}


def test_the_users_own_function_goes_first() -> None:
    def own(value: Any) -> Any:
        return f"{value:%d.%m.%Y}" if isinstance(value, datetime.date) else NotImplemented

    assert written({"v": DAY, "w": decimal.Decimal(1)}, own) == {
        "v": "31.01.2026", "w": {"$numberDecimal": "1"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (decimal.Decimal("1" * 35), "1" * 35),
        (decimal.Decimal("1E+7000"), "1E+7000"),
        (decimal.Decimal("1E-6177"), "1E-6177"),
        (10**34 + 1, "1" + "0" * 33 + "1"),
        (-(10**400) - 1, "-1" + "0" * 399 + "1"),
    ],
)
def test_what_no_decimal128_can_hold_is_text_and_is_told(value: Any, text: str) -> None:
    for item in ({"v": value}, {"v": [[value, DAY]]}):
        converted: list[Converted] = []
        payload = json.loads(ItemSerializer(types="bson").serialize(item, converted))

        assert text in (payload["v"], payload["v"][0][0])
        assert [told.where for told in converted] == (["v"] if payload["v"] == text else ["v[0][0]"])
        assert "34 digits" in converted[0].what


def test_many_rows_with_uuids_and_long_integers_are_written() -> None:
    rows = [{"id": uuid.UUID(int=n), "n": 2**62 + n, "none": None} for n in range(60_000)]

    payload = json.loads(ItemSerializer(types="bson").serialize({"rows": rows}))

    assert len(payload["rows"]) == 60_000
    assert payload["rows"][5] == {"id": {"$uuid": str(uuid.UUID(int=5))}, "n": 2**62 + 5, "none": None}


def test_the_adapters_send_stays_plain_json() -> None:
    assert (
        serialize({"v": DAY, "n": 2**64, "b": b"x"}) == b'{"v":"2026-01-31","n":18446744073709551616,"b":"x"}'
    )


@pytest.mark.parametrize(
    ("environ", "settings", "types"),
    [
        ({}, {}, "bson"),
        ({"ESTELA_SPIDER_JOB": "1.s.p"}, {}, "json"),
        ({"ESTELA_COLLECTION": "1.s.p"}, {}, "json"),
        ({"ESTELA_UNIQUE_COLLECTION": "False"}, {}, "json"),
        ({"ESTELA_SPIDER_JOB": ""}, {}, "bson"),
        ({"ESTELA_SPIDER_JOB": "1.s.p", "ESTELA_TYPES": "bson"}, {}, "bson"),
        ({"ESTELA_SPIDER_JOB": "1.s.p"}, {"ESTELA_TYPES": "bson"}, "bson"),
        ({"ESTELA_TYPES": "bson"}, {"ESTELA_TYPES": "json"}, "json"),
    ],
)
def test_types_are_bsons_but_for_a_job_of_estelas(
    environ: dict[str, str], settings: dict[str, Any], types: str
) -> None:
    found: ExtensionSettings = read(environ, **settings)

    assert found.types == types
