"""extension: a spider that yields from one page, with each way for its items to go."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bench import crawls
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Process
from bench.world import World
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA

OURS, BY_DEFAULT = "estela_scrapy, librdkafka", "estela_scrapy, kafka-python"
ALWAYS, FEED = "estela_scrapy, kafka-python, ESTELA_OUTBOX=always", "JSON-lines feed"
PLAIN, BARE = "plain send in the handler, kafka-python", "nowhere"
EMPTY = "a handler that does nothing"
_FEW = 500  # items of the crawls that show what starting and ending cost


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Items a second from the first that is yielded until the spider is done. A tenth of the messages."""
    items = max(100, messages // 10)
    topic = world.topic()
    ways: dict[str, tuple[str, dict[str, str]]] = {
        OURS: (LIBRDKAFKA, crawls.EXTENSION),
        BY_DEFAULT: (KAFKA_PYTHON, crawls.EXTENSION),
        ALWAYS: (KAFKA_PYTHON, crawls.always(world.folder / "outbox.db")),
        FEED: (KAFKA_PYTHON, crawls.feed(world.folder / "items.jsonl")),
        PLAIN: (KAFKA_PYTHON, crawls.PLAIN_SEND),
        EMPTY: (KAFKA_PYTHON, crawls.NOTHING),
        BARE: (KAFKA_PYTHON, {}),
    }
    rates: dict[str, list[float]] = {side: [] for side in ways}
    cpu: dict[str, list[float]] = {side: [] for side in (OURS, BY_DEFAULT)}
    for _ in range(rounds):
        whole = {}
        for side, (client, settings) in ways.items():
            whole[side] = crawl(world, items, topic, settings, client)
            rates[side].append(whole[side].rate)
        own = {
            side: whole[side].cpu - crawl(world, min(_FEW, items), topic, ways[side][1], ways[side][0]).cpu
            for side in (OURS, BY_DEFAULT, BARE)
        }
        for side, values in cpu.items():
            values.append(max(0.0, own[side] - own[BARE]) / max(1, items - _FEW) * 1e6)
    sides = rounds_of(rates, "items a second")
    own_cpu = rounds_of({f"{side}: CPU of its own": values for side, values in cpu.items()}, "µs an item")
    ours, by_default, _, feed, _, empty, _ = sides
    why = f"a handler that does nothing reaches {quotient(empty, feed):.2f}"
    return Outcome(
        "extension",
        items,
        [*sides, *own_cpu],
        [
            Ratio("librdkafka, against the JSON-lines feed", quotient(ours, feed), 1.5, why=why),
            Ratio("kafka-python, against the JSON-lines feed", quotient(by_default, feed), 0.9, why=why),
            Ratio(
                "CPU of its own for an item, librdkafka against kafka-python",
                own_cpu[0].median / (own_cpu[1].median or 1.0),
                0.6,
                at_least=False,
                why="Scrapy's call of the handler, JSON, the envelope and the buffer are the same with both",
            ),
        ],
    )


@dataclass(frozen=True, slots=True)
class Crawl:
    """What one crawl took."""

    rate: float
    """Items a second, from the first that is yielded until the spider is closed."""
    cpu: float
    """Seconds of the process, start and end included."""


def crawl(
    world: World, items: int, topic: str, settings: dict[str, str], client: str = KAFKA_PYTHON
) -> Crawl:
    """One crawl as a process. Blocks until it has ended."""
    report = world.folder / "report.json"
    command = crawls.command("burst", items, report, topic, settings)
    cpu, _ = Process(command, world.environ_of(client), world.folder / "crawl.log").wait()
    return Crawl(float(json.loads(report.read_text())["rate"]), cpu)
