"""extension: a spider that yields from one page, with each way for its items to go."""

from __future__ import annotations

import json

from bench import crawls
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Process
from bench.world import World

_WHY = "the thread that publishes shares the interpreter and the cores with the reactor"
OURS, ALWAYS, FEED = "estela_scrapy", "estela_scrapy, ESTELA_OUTBOX=always", "JSON-lines feed"
PLAIN, BARE = "plain send in the handler", "nowhere"


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Items a second from the first that is yielded until the spider is done. A tenth of the messages."""
    items = max(100, messages // 10)
    topic = world.topic()
    ways: dict[str, dict[str, str]] = {
        OURS: crawls.EXTENSION,
        ALWAYS: crawls.always(world.folder / "outbox.db"),
        FEED: crawls.feed(world.folder / "items.jsonl"),
        PLAIN: crawls.PLAIN_SEND,
        BARE: {},
    }
    rates: dict[str, list[float]] = {side: [] for side in ways}
    for _ in range(rounds):
        for side, settings in ways.items():
            rates[side].append(crawl_rate(world, items, topic, settings))
    sides = rounds_of(rates, "items a second")
    ours, _, feed, _, _ = sides
    ratio = Ratio("the extension against the JSON-lines feed", quotient(ours, feed), 0.9, why=_WHY)
    return Outcome("extension", items, sides, [ratio])


def crawl_rate(world: World, items: int, topic: str, settings: dict[str, str]) -> float:
    """Items a second of one crawl."""
    report = world.folder / "report.json"
    crawl = Process(
        crawls.command("burst", items, report, topic, settings), world.environ, world.folder / "crawl.log"
    )
    crawl.wait()
    return float(json.loads(report.read_text())["rate"])
