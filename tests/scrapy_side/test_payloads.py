"""Items and requests as payloads, compared with what Scrapy's own feed writes."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import scrapy
from scrapy.exporters import JsonItemExporter
from scrapy.http import Request, Response

from estela_queue_adapter.errors import ConfigurationError, SerializationError
from estela_scrapy.identity import identify, new_job_id
from estela_scrapy.payloads import ItemSerializer, request_payload

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
        {"at": NOW, "on": NOW.date(), "time": NOW.time(), "naive": NOW.replace(tzinfo=None)},
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


def test_an_item_that_cannot_be_written_names_its_class_and_the_field() -> None:
    with pytest.raises(SerializationError, match=r"^Thing: field maker\.tools\[1\]\.grip is a complex"):
        ItemSerializer().serialize(Thing(name="x", maker={"tools": [1, {"grip": 1j}]}))


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
