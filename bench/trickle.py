"""trickle: one item a second, from the moment it is scraped until a reader sees it."""

from __future__ import annotations

import math
import time

from bench import crawls, drains
from bench.messages import DATABASE
from bench.outcome import Outcome, Ratio, rounds_of
from bench.watch import Process
from bench.world import World
from estela_consumer.pipeline.batch import ChunkLimits

_MESSAGES_PER_ITEM = 10_000  # 60 items for 600,000 messages
_LOOK = 0.01  # seconds between two looks
_SLACK = 1.0  # seconds above the age of a chunk
_GIVE_UP = 60.0  # seconds


def run(world: World, messages: int, rounds: int) -> Outcome:
    """A crawl with the extension and a consumer that runs, as in production."""
    items = max(3, messages // _MESSAGES_PER_ITEM)
    waits: list[float] = []
    for _ in range(rounds):
        waits += _waits(world, items)
    waits.sort()
    p99 = waits[math.ceil(0.99 * len(waits)) - 1]
    age = ChunkLimits().age
    return Outcome(
        "trickle",
        len(waits),
        rounds_of({"scraped until visible": waits}, "seconds"),
        [Ratio(f"p99, with a chunk's age of {age:g} s", p99, age + _SLACK, at_least=False, unit=" s")],
    )


def _waits(world: World, items: int) -> list[float]:
    topic = world.topic()
    world.drop(DATABASE)
    consumer = Process(drains.consume_command(topic), world.environ, world.folder / "trickle.log")
    crawl = Process(
        crawls.command("trickle", items, world.folder / "report.json", topic, crawls.EXTENSION),
        world.environ,
        world.folder / "crawl.log",
    )
    seen: dict[int, float] = {}
    deadline = time.monotonic() + items + _GIVE_UP
    try:
        while len(seen) < items:
            crawl.check()
            consumer.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(seen)} of {items} items became visible")
            for name in world.client[DATABASE].list_collection_names():
                found = world.client[DATABASE][name].find({"number": {"$nin": list(seen)}})
                seen.update({item["number"]: time.time() - item["scraped"] for item in found})
            time.sleep(_LOOK)
        crawl.wait()
    finally:
        crawl.terminate()
        consumer.terminate()
    return list(seen.values())
