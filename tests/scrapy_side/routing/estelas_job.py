"""A crawl under estela's variables, and its messages without what differs from run to run.

`python -m tests.scrapy_side.routing.estelas_job` prints them: that is how estelas_job.txt was made, by the
version before there were routes, layouts, keys and metadata.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile

from tests.scrapy_side.crawls import crawl, published, site

VARIABLES = {
    "ESTELA_SPIDER_JOB": "12.books.shop",
    "ESTELA_SPIDER_NAME": "books.example",
    "ESTELA_COLLECTION": "scj3.books.shop",
    "ESTELA_UNIQUE_COLLECTION": "True",
}
TOPICS = ("job_items", "job_requests", "job_stats", "job_logs", "jobs_topic")
SPIDER = """
    import datetime, decimal
    from dataclasses import dataclass
    import scrapy

    @dataclass
    class Book:
        title: str
        price: decimal.Decimal
        added: datetime.date

    class S(scrapy.Spider):
        name = "books.example"

        def __init__(self, base="", **kwargs):
            super().__init__(**kwargs)
            self.start_urls = [base + "/page"]

        def parse(self, response):
            yield {"n": 1, "a.b": "caf\\u00e9", "none": None, "list": [1.5, True], "bytes": b"x"}
            yield Book(response.css("h1::text").get(), decimal.Decimal("12.30"), datetime.date(2026, 1, 31))
            yield "no item"
"""
# What differs: ids, the site's port, times, what things took, and what versions of Scrapy count and log.
_DIFFERENT = (
    (r'"payload":\{"start_time".*?(?="estela/items/published")', '"payload":{'),
    (r'"estela/logs/published":\d+', '"estela/logs/published":0'),
    (r'("topic":"job_logs".*?"published":)\d+', r"\g<1>0"),
    (r'"(id|first_id|last_id|fingerprint)":"[0-9a-f]+"', r'"\1":"-"'),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:0"),
    (r'"(time|opened|closed|start_time|finish_time)":"[^"]*"', r'"\1":"-"'),
    (r'"(duration|elapsed_time_seconds|[^"]*(?:bytes|memory|memusage|per_minute|seconds|max|startup)[^"]*)":'
     r"(?:[\d.e-]+|null)", r'"\1":0'),
)  # fmt: skip


def messages() -> str:
    """Every message of the job, a line each, behind the name of its topic; of the log only the first."""
    with site() as base:
        settings = {
            f"ESTELA_{topic[4:].upper()}_TOPIC": topic for topic in TOPICS if topic.startswith("job_")
        }
        crawl(SPIDER, "-a", f"base={base}", **settings)
    lines = []
    for topic in TOPICS:
        found = [f"{topic} {(message.data or b'').decode()}" for message in published(topic)]
        if topic == "job_logs":
            found = [
                re.sub(r'"payload":\{"log":".*","datetime":[\d.e+]+\}', '"payload":{"log":"-"}', found[0])
            ]
        lines.extend(found)
    text = "\n".join(lines)
    for pattern, shown in _DIFFERENT:
        text = re.sub(pattern, shown, text)
    return text + "\n"


if __name__ == "__main__":
    os.environ.update(VARIABLES)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.stdout.write(messages())
