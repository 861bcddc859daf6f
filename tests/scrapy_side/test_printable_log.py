"""The lines that the extension writes into Scrapy's own log."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from estela_terminal.printable import printable
from tests.scrapy_side.crawls import SPIDER, crawl

pytestmark = pytest.mark.processes

EVIL = "\x1b[31m\x9b5m\u202e\u2028\x07\r\n2026-01-01 00:00:00 [x] INFO: all is published"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# Items of an evil class, with an evil field that cannot be written, for a reason that is no better.
EVIL_ITEMS = textwrap.dedent(SPIDER).replace(
    'yield {"n": n, "title": response.css("h1::text").get()}',
    f"""
class Unwritable:
    def __getattribute__(self, name):
        raise ValueError({EVIL!r})

yield type({EVIL!r}, (dict,), {{}})({{{EVIL!r}: Unwritable()}})
""".replace("\n", "\n            "),
)


def ours(log: str) -> str:
    """The log without the lines in which Scrapy itself shows what was set or scraped."""
    return "\n".join(line for line in log.split("\n") if "[estela_" in line or line.startswith("2026-01-01"))


def test_what_could_not_be_published_is_named_and_not_obeyed(base: str) -> None:
    log = ours(crawl(EVIL_ITEMS, "-a", base, ESTELA_OUTBOX_PATH="away/outbox.db").log)

    assert printable(EVIL) in log
    assert CONTROLS.search(log) is None
    assert not re.search("^2026-01-01", log, re.MULTILINE)


def test_names_of_files_and_wrong_settings_are_quoted_and_not_obeyed(base: str, workdir: Path) -> None:
    folder = f"folder{EVIL}"
    unreachable = {
        "QUEUE_PLATFORM": "kafka",
        "QUEUE_PLATFORM_LISTENERS": "127.0.0.1:1",
        "ESTELA_CLOSE_TIMEOUT": "0.1",
    }

    kept = ours(crawl(SPIDER, "-a", base, ESTELA_OUTBOX_PATH=f"{folder}/outbox.db", **unreachable).log)
    wrong = ours(crawl(SPIDER, "-a", base, ESTELA_OUTBOX=f"never{EVIL}").log)

    assert printable(folder) in kept
    assert printable(f"ESTELA_OUTBOX=never{EVIL}") in wrong
    for log in (kept, wrong):
        assert CONTROLS.search(log) is None
        assert not re.search("^2026-01-01", log, re.MULTILINE)
