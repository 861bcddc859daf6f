"""profile: where each microsecond of a drain and of a crawl goes."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from bench import crawls, drains
from bench.extension import crawl
from bench.messages import DATABASE, envelopes, fill
from bench.outcome import Outcome, rounds_of
from bench.world import CLIENTS, World
from estela_consumer.decoding.decoder import decode_all
from estela_consumer.decoding.document import Document
from estela_consumer.decoding.drafts import MOST_TOGETHER
from estela_consumer.decoding.envelope import read_envelope
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.stores import StoreSettings, open_store
from estela_queue_adapter import Subscription, open_platform
from estela_queue_adapter.collector import settle_into_consuming
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON
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
        for client in CLIENTS:
            found[f"drain: fetch with {client}, from Kafka's bytes to messages"] = _fetch(
                world, topic, client
            )
        for client in CLIENTS:
            found[f"drain: the whole process with {client}, without its start and end"] = _whole(
                world, topic, short, messages, client
            )
        found |= _crawl(world, max(100, messages // 10))
        for name, value in found.items():
            parts.setdefault(name, []).append(value)
    return Outcome("profile", messages, rounds_of(parts, "µs a document or item"), [])


def _parts(world: World, topic: str) -> dict[str, float]:
    settle_into_consuming()
    read = list(itertools.islice(open_platform(environ=world.environ).read(topic), _SAMPLE))
    groups = [read[at : at + MOST_TOGETHER] for at in range(0, len(read), MOST_TOGETHER)]
    decoded = [decode_all(group) for group in groups]
    decoding = _cpu(decode_all, groups) * len(groups) / len(read)
    data = [message.data or b"" for message in read]
    json = _cpu(read_envelope, data)
    batch = Batch(ChunkLimits(), 0.0)
    both = list(zip(groups, decoded, strict=True))
    gathering = _cpu(lambda one: batch.add_all(*one), both) * len(groups) / len(read)
    made = [one for group in decoded for one in group if isinstance(one, Document)]
    store = open_store(StoreSettings(url=world.mongodb))
    world.drop(DATABASE)
    size = ChunkLimits().count
    chunks = [made[at : at + size] for at in range(0, len(made), size)]
    inserting = _cpu(lambda chunk: store.write(chunk[0].dataset, chunk), chunks) * len(chunks) / len(made)
    store.close()
    return {
        "drain: JSON": json,
        "drain: names, id, keys, BSON": decoding - json,
        "drain: gather into chunks": gathering,
        "drain: insert, the client's part": inserting,
    }


def _fetch(world: World, topic: str, client: str) -> float:
    """With all threads of the client, from the first messages to the last."""
    consumer = open_platform(environ=world.environ_of(client)).consumer(
        Subscription(topic=topic, group=f"bench-{uuid.uuid4().hex[:8]}")
    )
    count = 0
    while not count:  # joins the group
        count = len(consumer.poll(1.0, ChunkLimits().count))
    began, first = time.process_time(), count
    while count < _SAMPLE and (messages := consumer.poll(10.0, ChunkLimits().count)):
        count += len(messages)
    fetched = (time.process_time() - began) / max(1, count - first) * 1e6
    consumer.close()
    return fetched


def _whole(world: World, topic: str, short: str, messages: int, client: str) -> float:
    few = min(_FEW, messages)
    around = drains.drain(world, short, few, client=client).cpu * few
    return max(0.0, drains.drain(world, topic, messages, client=client).cpu * messages - around) / messages


def _crawl(world: World, items: int) -> dict[str, float]:
    topic = world.topic()
    cost = {
        name: 1e6 / crawl(world, items, topic, settings, client).rate
        for name, settings, client in (
            ("bare", {}, KAFKA_PYTHON),
            ("empty", crawls.NOTHING, KAFKA_PYTHON),
            *((client, crawls.EXTENSION, client) for client in CLIENTS),
            ("plain", crawls.PLAIN_SEND, KAFKA_PYTHON),
        )
    }
    product = {"jid": f"0.shop.{DATABASE}", "payload": {"sku": 1, "text": "x" * 300}, "unique": "False"}
    return {
        "crawl: Scrapy alone": cost["bare"],
        "crawl: a handler that does nothing, on top": cost["empty"] - cost["bare"],
        **{
            f"crawl: the extension's handler and thread with {client}, on top of that": cost[client]
            - cost["empty"]
            for client in CLIENTS
        },
        "crawl: of it, JSON": _cpu(serialize, [product] * 1_000),
        "crawl: a plain send in the handler instead, kafka-python": cost["plain"] - cost["empty"],
    }


def _cpu(work: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Microseconds of CPU for one call."""
    began = time.process_time()
    for argument in arguments:
        work(argument)
    return (time.process_time() - began) / len(arguments) * 1e6
