"""The books of a crawl: what was scraped is published or named, and `estela-verify` says what is stored."""

from __future__ import annotations

import pytest
import scrapy

from tests.consumer.commands import drain, exported, run
from tests.scrapy_side.crawls import SPIDER, crawl, published

pytestmark = pytest.mark.processes

FAULTY = """
    import asyncio
    import dataclasses
    import scrapy
    from scrapy.dupefilters import BaseDupeFilter

    class Forgetful:
        def process_item(self, item, spider=None):
            if item != {"forget": True}:
                return item

    class Fingerprinter:
        def fingerprint(self, request):
            return request.meta["product"].encode()

    class Price(scrapy.Item):
        price = scrapy.Field(serializer=float)

    @dataclasses.dataclass
    class Bad:
        value: object

        def __repr__(self):
            raise ValueError("no repr")

    def midway():
        yield 1
        raise LookupError("\\x1b[31mno more\\n")

    class Evil:
        def __str__(self):
            raise RuntimeError("no str")

    class Cancelled:
        def __str__(self):
            raise asyncio.CancelledError("no time")

    class S(scrapy.Spider):
        name = "books.example"
        custom_settings = {
            "ITEM_PIPELINES": {Forgetful: 1},
            "REQUEST_FINGERPRINTER_CLASS": Fingerprinter,
            "DUPEFILTER_CLASS": BaseDupeFilter,
        }

        def __init__(self, base="", **kwargs):
            super().__init__(**kwargs)
            self.base = base

        async def start(self):
            yield scrapy.Request(self.base + "/page?1", meta={"product": "a"})
            yield scrapy.Request(self.base + "/page?2")
            yield {"from": "start", "value": Evil()}
            yield {"from": "start", "value": Cancelled()}

        def parse(self, response):
            yield {"good": response.url}
            yield {"forget": True}
            circular = {"children": []}
            circular["children"].append({"parent": circular})
            yield circular
            yield Price(price="n/a")
            yield Bad(midway())
            if response.url.endswith("1"):
                yield {"nested": [{"of": Price(price=None)}]}
            yield response.text
"""


def verify(jid: str = "7") -> tuple[int, dict[str, object], str]:
    result = run("estela-verify", jid, "--json")
    table = run("estela-verify", jid)
    assert table.code == result.code, result.err
    return result.code, result.summary, " ".join(table.out.split())


@pytest.mark.skipif(scrapy.version_info < (2, 13), reason="its start yields no items")
def test_an_item_that_cannot_be_published_is_named_and_counted_and_the_crawl_goes_on(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "7.s.p")

    done = crawl(FAULTY, "-a", base, LOG_LEVEL="INFO")  # Scrapy's own line of each item fails with its repr
    drain("items_topic", "requests_topic")
    code, summary, table = verify()

    lines = [line.partition("ERROR: ")[2] for line in done.log.splitlines() if "ERROR: Item not pub" in line]
    page = f"page: {base.removeprefix('base=')}/page?1"
    for told in (
        f"NoneType: not an item; a pipeline that ends without `return item` gives None ({page})",
        f"dict: field children[0].parent: contains itself ({page})",
        f"Price: field price: ValueError: could not convert string to float: 'n/a' ({page})",
        f"Bad: field value: LookupError: \\x1b[31mno more\\n ({page})",
        "dict: field nested[0].of.price: TypeError: float() argument must be",
        f"str: not an item; a dict is one, or a scrapy.Item, dataclass, attrs or pydantic object ({page})",
        "dict: field value: RuntimeError: no str (page: none)",
        "dict: field value: CancelledError: no time (page: none)",
    ):
        assert sum(told in line for line in lines) == 1, (told, lines)
    assert "Record of a request not published: Request: field fingerprint: KeyError: 'product'" in done.log
    assert "14 message(s) could not be published" in done.log
    assert "2 x Price: field price: ValueError" in done.log
    assert "Error caught on signal handler" not in done.log
    assert "Traceback" not in done.log
    assert (done.stats["item_scraped_count"], done.stats["estela/items/published"]) == (15, 2)
    assert (done.stats["estela/items/failed"], done.stats["estela/requests/failed"]) == (13, 1)
    assert (code, summary["exit"]) == (7, "INCOMPLETE")
    assert (summary["scraped"], summary["failed"], summary["unaccounted"]) == (15, 14, 0)
    assert "14 more could not be published" in table


def test_values_without_a_word_in_json_are_stored_and_the_job_is_complete(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "7.s.p")
    monkeypatch.setenv("ESTELA_SERIALIZER", "spider.own")
    own = """import scrapy, datetime, numpy

    def own(value):
        return "mine" if isinstance(value, complex) else NotImplemented
    """
    spider = SPIDER.replace("import scrapy", own).replace(
        '"title": response.css("h1::text").get()}',
        '"value": {3: b"caf\\xc3\\xa9", 30: datetime.timedelta(seconds=90), 50: numpy.float32(1.5),'
        " 70: numpy.arange(3), 71: 1j, 90: object()}.get(n)}",
    )

    done = crawl(spider, "-a", base, "-a", "items=100")
    drain("items_topic", "requests_topic")
    code, summary, table = verify()

    assert code == 0, table
    assert (summary["scraped"], summary["failed"]) == (100, 0)
    stored = {document["n"]: document["value"] for document in exported("p/s-7-items_topic")}
    assert len(stored) == 100
    assert [stored[n] for n in (3, 30, 50, 70, 71)] == ["café", 90.0, 1.5, [0, 1, 2], "mine"]
    assert stored[90].startswith("<object object at")
    assert (
        done.log.count(
            "WARNING: Item converted: dict: field value: a value of type object is written as its str()"
        )
        == 1
    )
    assert (done.stats["estela/items/converted"], done.stats["estela/items/failed"]) == (1, 0)


def test_a_crawl_that_is_stopped_by_a_signal_is_cut_short_until_it_has_gone_on(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "7.s.p")
    spider = SPIDER.replace('["/page"]', '[f"/page?{n}" for n in range(9)]').replace(", dont_filter=True", "")
    stopped = spider.replace("import scrapy", "import os, scrapy, signal").replace(
        "def parse(self, response):",
        "def parse(self, response):\n"
        "            if not hasattr(self, 'told'):\n"
        "                self.told = os.kill(os.getpid(), signal.SIGINT)  # a second one would be force",
    )
    settings = {"JOBDIR": "paused", "CONCURRENT_REQUESTS": 1, "ESTELA_STATS_TOPIC": "job_stats"}
    topics = ("items_topic", "requests_topic", "job_stats")

    stopping = crawl(stopped, "-a", base, **settings)
    drain("items_topic", "requests_topic")
    first, paused, table = verify()
    crawl(spider, "-a", base, **settings)
    drain(*topics)
    second, finished, _ = verify()
    again = crawl(spider, "-a", base, **settings)
    drain(*topics)
    third, repeated, _ = verify()

    assert (first, paused["exit"], paused["finish_reason"]) == (14, "CUT_SHORT", "shutdown")
    assert "cut short: the crawl ended with shutdown" in table
    assert (second, finished["runs"], finished["scraped"]) == (0, 2, 27)
    assert "are not published: it ended with shutdown, and the run that finishes" in stopping.log
    assert "are not published: an earlier run that finished has published them" in again.log
    assert (third, repeated["runs"], repeated["dead_letters"]) == (0, 3, 0)
    [stats] = exported("p/job_stats")
    assert stats["finish_reason"] == "finished"


def test_a_run_that_was_killed_keeps_its_job_from_being_complete(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "7.s.p")
    killed = SPIDER.replace("import scrapy", "import os, scrapy, signal").replace(
        "def parse(self, response):",
        "def parse(self, response):\n            os.kill(os.getpid(), signal.SIGKILL)",
    )

    crawl(killed, "-a", base, JOBDIR="paused")
    crawl(SPIDER, "-a", base, JOBDIR="paused")
    drain("items_topic", "requests_topic")
    code, summary, table = verify()

    assert (code, summary["unrecorded_runs"]) == (7, 1)
    assert "1 run(s) left no closing record" in table


def test_items_that_the_extension_leaves_out_are_missed(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTELA_SPIDER_JOB", "7.s.p")
    spider = SPIDER.replace(
        "class S(scrapy.Spider):",
        """from estela_scrapy import QueueExtension

    class Selective(QueueExtension):
        async def item_scraped(self, item, response, spider):
            if item["n"] != 1:
                await super().item_scraped(item, response, spider)

    class S(scrapy.Spider):""",
    )

    crawl(spider, "-a", base, EXTENSIONS='{"spider.Selective": 500}')
    drain("items_topic", "requests_topic")
    code, summary, table = verify()

    assert (code, summary["scraped"], summary["published"], summary["unaccounted"]) == (7, 3, 3, 1)
    assert "1 scraped but neither published nor counted as failed" in table


@pytest.mark.skipif(scrapy.version_info < (2, 13), reason="it drops text that a spider yields itself")
def test_of_many_failures_alike_the_first_are_errors_in_the_log(base: str) -> None:
    spider = SPIDER.replace('yield {"n": n, "title": response.css("h1::text").get()}', "yield str(n)")

    done = crawl(spider, "-a", base, "-a", "items=1000", LOG_LEVEL="INFO")

    assert done.log.count("Item not published: str: not an item") == 20
    assert done.log.count("further ones of this kind are counted") == 1
    assert "1,000 message(s) could not be published" in done.log
    assert done.stats["estela/items/failed"] == 1000
    assert published("items_topic") == []
