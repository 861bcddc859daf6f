"""profile: where each microsecond of a drain and of a crawl goes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench import crawls, drains
from bench.extension import crawl_rate
from bench.messages import DATABASE, envelopes, fill
from bench.outcome import Outcome, rounds_of
from bench.world import World
from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.envelope import read_envelope
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.stores import StoreSettings, open_store
from estela_queue_adapter import open_platform
from estela_queue_adapter.collector import settle_into_consuming
from estela_queue_adapter.serialization import serialize

_SAMPLE = 20_000  # messages that the parts are measured with
_FEW = 500  # messages of the drain that shows what starting and ending cost


def run(world: World, messages: int, rounds: int) -> Outcome:
    """CPU of the parts, each by itself, and of the whole; then what each way of an item adds to a crawl."""
    topic, short = world.topic(), world.topic()
    fill(world, topic, envelopes(messages))
    fill(world, short, envelopes(min(_FEW, messages)))
    parts: dict[str, list[float]] = {}
    for _ in range(rounds):
        found = _parts(world, topic)
        found["drain: the whole process, without its start and end"] = _whole(world, topic, short, messages)
        found |= _crawl(world, max(100, messages // 10))
        for name, value in found.items():
            parts.setdefault(name, []).append(value)
    return Outcome("profile", messages, rounds_of(parts, "µs a document or item"), [])


def _parts(world: World, topic: str) -> dict[str, float]:
    settle_into_consuming()
    coming = open_platform(environ=world.environ).read(topic)
    read = [next(coming)]  # connects
    began = time.process_time()
    read += itertools.islice(coming, _SAMPLE - 1)
    fetched = (time.process_time() - began) / len(read) * 1e6
    made = [document for document in map(decode, read) if document]
    decoding = _cpu(decode, read)
    data = [message.data or b"" for message in read]
    json = _cpu(read_envelope, data)
    batch = Batch(ChunkLimits(), 0.0)
    gathering = _cpu(lambda one: batch.add(one.message, one), made)
    store = open_store(StoreSettings(url=world.mongodb))
    world.drop(DATABASE)
    size = ChunkLimits().count
    chunks = [made[at : at + size] for at in range(0, len(made), size)]
    inserting = _cpu(lambda chunk: store.write(chunk[0].dataset, chunk), chunks) * len(chunks) / len(made)
    store.close()
    return {
        "drain: fetch, from Kafka's bytes to messages": fetched,
        "drain: JSON": json,
        "drain: names, id, keys, BSON": decoding - json,
        "drain: gather into chunks": gathering,
        "drain: insert, the client's part": inserting,
    }


def _whole(world: World, topic: str, short: str, messages: int) -> float:
    around = drains.cpu_of_start_and_end(world, short, min(_FEW, messages)) * 1e6
    return max(0.0, drains.drain(world, topic, messages).cpu * messages - around) / messages


def _crawl(world: World, items: int) -> dict[str, float]:
    topic = world.topic()
    cost = {
        name: 1e6 / crawl_rate(world, items, topic, settings)
        for name, settings in {
            "bare": {},
            "empty": crawls.NOTHING,
            "ours": crawls.EXTENSION,
            "plain": crawls.PLAIN_SEND,
        }.items()
    }
    product = {"jid": f"0.shop.{DATABASE}", "payload": {"sku": 1, "text": "x" * 300}, "unique": "False"}
    return {
        "crawl: Scrapy alone": cost["bare"],
        "crawl: a handler that does nothing, on top": cost["empty"] - cost["bare"],
        "crawl: the extension's handler and thread, on top of that": cost["ours"] - cost["empty"],
        "crawl: of it, JSON": _cpu(serialize, [product] * 1_000),
        "crawl: a plain send in the handler instead": cost["plain"] - cost["empty"],
    }


def _cpu(work: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Microseconds of CPU for one call."""
    began = time.process_time()
    for argument in arguments:
        work(argument)
    return (time.process_time() - began) / len(arguments) * 1e6
