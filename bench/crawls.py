"""Real crawls, as subprocesses: what they yield, and where their items go."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.messages import DATABASE

_SPIDERS = Path(__file__).with_name("spiders.py")
EXTENSION = {"EXTENSIONS": '{"estela_scrapy.QueueExtension": 500}'}
NOTHING = {"EXTENSIONS": '{"bench.spiders.Nothing": 500}'}
PLAIN_SEND = {"EXTENSIONS": '{"bench.spiders.PlainSend": 500}'}


def always(file: Path) -> dict[str, str]:
    """The extension, with every message in the outbox before it is sent."""
    return {**EXTENSION, "ESTELA_OUTBOX": "always", "ESTELA_OUTBOX_PATH": str(file)}


def feed(file: Path) -> dict[str, str]:
    """Scrapy's JSON-lines feed."""
    return {"FEEDS": f'{{"file://{file}": {{"format": "jsonlines", "overwrite": true}}}}'}


def command(pace: str, items: int, report: Path, topic: str, settings: dict[str, str]) -> list[str]:
    """A crawl whose items go where the settings say."""
    given = {
        "BOT_NAME": DATABASE,
        "LOG_LEVEL": "WARNING",
        "TELNETCONSOLE_ENABLED": "False",
        "ESTELA_ITEMS_TOPIC": topic,
        "ESTELA_REQUESTS_TOPIC": "",
        **settings,
    }
    return [
        sys.executable, "-m", "scrapy", "runspider", str(_SPIDERS),
        "-a", f"pace={pace}", "-a", f"items={items}", "-a", f"report={report}",
        *(part for name, value in given.items() for part in ("-s", f"{name}={value}")),
    ]  # fmt: skip
