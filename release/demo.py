"""The first use of what was installed: crawl one page, drain, verify; in a folder of its own."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from release.environment import Environment
from release.report import CheckFailed, run

_ITEMS = 25
_JOB = "1.books.library"
_FILES = {
    "scrapy.cfg": "[settings]\ndefault = library.settings\n",
    "library/__init__.py": "",
    "library/settings.py": """\
BOT_NAME = "library"
SPIDER_MODULES = ["library.spiders"]
EXTENSIONS = {"estela_scrapy.QueueExtension": 500}
""",
    "library/spiders/__init__.py": "",
    "library/spiders/books.py": """\
import scrapy


class Books(scrapy.Spider):
    name = "books"

    def __init__(self, url, **arguments):
        super().__init__(**arguments)
        self.start_urls = [url]

    def parse(self, response):
        for title in response.css("li::text").getall():
            yield {"title": title}
""",
    "page/index.html": "<ul>" + "".join(f"<li>Book {number}</li>" for number in range(_ITEMS)) + "</ul>",
}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def crawl(environment: Environment, folder: Path) -> None:
    """Make a project in the folder and crawl it into the folder's embedded queue."""
    for name, text in _FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with _served(folder / "page") as url:
        command: list[str | Path] = [environment.script("scrapy"), "crawl", "books", "-a", f"url={url}"]
        log = run(command, folder, {"ESTELA_SPIDER_JOB": _JOB})
    if f"'item_scraped_count': {_ITEMS}" not in log:
        raise CheckFailed(f"the crawl did not scrape {_ITEMS} items:\n{log[-2000:]}")


def consume(environment: Environment, folder: Path) -> str:
    """Drain the folder's queue and verify the crawl; what was stored, in a sentence."""
    topics = ["items_topic", "requests_topic"]
    output = run([environment.script("estela-consume"), *topics, "--drain", "--json"], folder)
    stored = {topic: counts["stored"] for topic, counts in _json_in(output)["topics"].items()}
    if stored["items_topic"] != _ITEMS:
        raise CheckFailed(f"{_ITEMS} items were scraped, and {stored['items_topic']} stored")
    run([environment.script("estela-verify"), _JOB], folder)
    shown = run([environment.script("estela-data"), "export", "library/books-1-items_topic"], folder)
    titles = {json.loads(line)["title"] for line in shown.splitlines() if line.startswith("{")}
    if titles != {f"Book {number}" for number in range(_ITEMS)}:
        raise CheckFailed(f"estela-data exports other items than were scraped: {sorted(titles)}")
    return (
        f"{stored['items_topic']} items and {stored['requests_topic']} requests scraped, stored and verified"
    )


def _json_in(output: str) -> dict[str, dict[str, dict[str, int]]]:
    """The JSON document among the lines of the log."""
    found = re.search(r"^\{.*\}\s*$", output, re.MULTILINE | re.DOTALL)
    if not found:
        raise CheckFailed(f"no JSON in:\n{output[-2000:]}")
    document: dict[str, dict[str, dict[str, int]]] = json.loads(found[0])
    return document
