"""A pipeline that writes into MongoDB, as Scrapy's documentation has it, and the extension in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument

from tests.consumer.commands import drain, exported, run
from tests.scrapy_side.crawls import crawl, published

pytestmark = pytest.mark.processes

# The spider and the pipeline of Scrapy's documentation. MongoDB's driver has no word for a Decimal, a date
# or a UUID: the codec options are those that its documentation has for it.
SPIDER = """
    import dataclasses
    import datetime
    import decimal
    import uuid

    import pymongo
    import scrapy
    from bson import Binary, Decimal128, Int64, ObjectId, UuidRepresentation
    from bson.codec_options import CodecOptions, TypeRegistry
    from itemadapter import ItemAdapter


    @dataclasses.dataclass
    class Price:
        amount: decimal.Decimal
        until: datetime.date


    class Quote(scrapy.Item):
        text = scrapy.Field()
        author = scrapy.Field()
        tags = scrapy.Field()
        born = scrapy.Field()
        price = scrapy.Field()
        more = scrapy.Field()


    class QuotesSpider(scrapy.Spider):
        name = "quotes"

        def __init__(self, base="", **kwargs):
            super().__init__(**kwargs)
            self.start_urls = [base + "/1.html"]

        def parse(self, response):
            for quote in response.css("div.quote"):
                born = datetime.datetime.fromisoformat(quote.css("small::attr(title)").get())
                text = quote.css("span.text::text").get()
                yield Quote(
                    text=text,
                    author=quote.css("small.author::text").get(),
                    tags=quote.css("div.tags a.tag::text").getall(),
                    born=born,
                    price=Price(decimal.Decimal(quote.css("b::text").get()), born.date()),
                    more=[
                        {"seen": born.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))},
                        {"$date": "2020", "$set": {"a": None}, "ok": True, "n": [1, 2**40, 2.5]},
                        text.encode(), uuid.UUID(int=len(text)), 2**70,
                        ObjectId("65b9f1a20000000000000001"), Int64(5), Binary(b"x", 5),
                    ],
                )
            next_page = response.css("li.next a::attr(href)").get()
            if next_page is not None:
                yield response.follow(next_page, callback=self.parse)


    def fallback(value):
        if isinstance(value, datetime.date):
            return datetime.datetime(value.year, value.month, value.day)
        return Decimal128(decimal.Decimal(value))


    class MongoPipeline:
        collection_name = "scrapy_items"

        def __init__(self, mongo_uri, mongo_db):
            self.mongo_uri = mongo_uri
            self.mongo_db = mongo_db

        @classmethod
        def from_crawler(cls, crawler):
            return cls(
                mongo_uri=crawler.settings.get("MONGO_URI"),
                mongo_db=crawler.settings.get("MONGO_DATABASE", "items"),
            )

        def open_spider(self):
            self.client = pymongo.MongoClient(self.mongo_uri)
            options = CodecOptions(
                uuid_representation=UuidRepresentation.STANDARD,
                type_registry=TypeRegistry(fallback_encoder=fallback),
            )
            self.db = self.client.get_database(self.mongo_db, options)

        def close_spider(self):
            self.client.close()

        def process_item(self, item, spider=None):
            document = ItemAdapter(item).asdict()
            document["more"][4] = Decimal128(str(document["more"][4]))  # no integer of BSON's is so long
            self.db[self.collection_name].insert_one(document)
            return item
"""
QUOTE = """<div class="quote"><span class="text">Quote {n}</span>
<small class="author" title="18{n:02}-03-14T11:30:00.123456">Author {n}</small><b>{n}.10</b>
<div class="tags"><a class="tag">a</a><a class="tag">b{n}</a></div></div>"""


@pytest.fixture
def quotes(workdir: Path) -> Iterator[str]:
    """A site of two pages with three quotes each."""
    folder = workdir / "site"
    folder.mkdir()
    for page, following in (1, '<li class="next"><a href="/2.html">next</a></li>'), (2, ""):
        parts = [QUOTE.format(n=page * 10 + n) for n in range(3)]
        (folder / f"{page}.html").write_text("".join([*parts, following]))
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"base=http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def client(mongodb: str, unique: str) -> Iterator[pymongo.MongoClient[Any]]:
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(mongodb)
    yield client
    for database in (unique, f"{unique}_ours"):
        client.drop_database(database)
    client.close()


def stored(client: pymongo.MongoClient[Any], database: str) -> dict[str, bytes]:
    """The quotes of the only collection by their text, as BSON, without what each side adds."""
    options = bson.CodecOptions(document_class=RawBSONDocument)
    [name] = client[database].list_collection_names()
    found = {}
    for document in client[database].get_collection(name, options).find():
        fields = {key: value for key, value in document.items() if key not in ("_id", "_estela")}
        found[fields["text"]] = bson.encode(fields)
    return found


def test_the_extension_stores_what_the_pipeline_stored_type_by_type(
    quotes: str, mongodb: str, unique: str, client: pymongo.MongoClient[Any]
) -> None:
    with_pipeline = crawl(
        SPIDER, "-a", quotes,
        EXTENSIONS="{}", ITEM_PIPELINES='{"spider.MongoPipeline": 300}',
        MONGO_URI=mongodb, MONGO_DATABASE=unique,
    )  # fmt: skip
    with_ours = crawl(SPIDER, "-a", quotes, ESTELA_DATABASE=f"{unique}_ours")
    drained = drain("items_topic", DB_CONNECTION=mongodb)

    assert (with_pipeline.code, with_ours.code, drained.code) == (0, 0, 0), with_pipeline.log + with_ours.log
    assert with_ours.stats.get("estela/items/converted", 0) == 0
    assert with_pipeline.stats.get("item_scraped_count") == 6, with_pipeline.log
    theirs = stored(client, unique)
    assert len(theirs) == 6
    assert stored(client, f"{unique}_ours") == theirs


def test_both_stores_have_the_same_and_estela_data_shows_it(
    quotes: str, mongodb: str, unique: str, client: pymongo.MongoClient[Any]
) -> None:
    crawl(SPIDER, "-a", quotes, ESTELA_DATABASE=f"{unique}_ours", ESTELA_DATASET="quotes_{topic}")
    dataset = f"{unique}_ours/quotes_items_topic"
    for store in ({"DB_CONNECTION": mongodb}, {"QUEUE_PLATFORM_GROUP": "another"}):
        assert drain("items_topic", **store).code == 0

    in_mongodb, in_the_file = exported(dataset, DB_CONNECTION=mongodb), exported(dataset)
    as_text = exported(dataset, "--plain")
    shown = run("estela-data", "show", dataset, "-n", "1", COLUMNS="250")
    shown_as_text = run("estela-data", "show", dataset, "-n", "1", "--plain", COLUMNS="250")

    assert sorted(in_mongodb, key=str) == sorted(in_the_file, key=str)
    assert in_the_file[0]["born"] == {"$date": {"$numberLong": "-5042867399877"}}
    assert in_the_file[0]["price"]["amount"] == {"$numberDecimal": "10.10"}
    assert in_the_file[0]["more"][1]["$date"] == "2020"
    assert as_text[0]["born"] == "1810-03-14T11:30:00.123Z"
    assert as_text[0]["price"] == {"amount": "10.10", "until": "1810-03-14T00:00:00Z"}
    assert '{"$date":{"$numberLong":"-5042867399877"}}' in shown.out
    assert "1810-03-14T11:30:00.123Z" in shown_as_text.out


def test_under_estelas_variables_items_are_plain_json_as_before(
    quotes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "7.quotes.market")
    monkeypatch.setenv("ESTELA_COLLECTION", "7.quotes.market")
    monkeypatch.setenv("ESTELA_UNIQUE_COLLECTION", "False")
    done = crawl(SPIDER, "-a", quotes)

    assert done.code == 0, done.log
    items = published("items_topic")
    assert len(items) == 6
    assert all(b'"types"' not in (message.data or b"") for message in items)
    payload = items[0].value["payload"]
    assert payload["born"] == "1810-03-14T11:30:00.123456"
    assert payload["price"] == {"amount": "10.10", "until": "1810-03-14"}
    assert payload["more"][2:5] == ["Quote 10", "00000000-0000-0000-0000-000000000008", 2**70]
