"""What travels in the benches: the envelopes of a shop's products, each of the same size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import bson
import orjson
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from kafka import KafkaProducer

from bench.world import PARTITIONS, World

SIZE = 480  # bytes of a message
DATABASE = "estela_bench"  # it is dropped
_RUN = "e5f1a0be9c"  # five bytes that stand for a run


def payload(number: int) -> dict[str, Any]:
    """One product."""
    return {
        "sku": number,
        "name": f"Product {number}",
        "price": number % 1000 / 10,
        "currency": "EUR",
        "in_stock": number % 3 > 0,
        "url": f"https://shop.example/products/{number}",
        "tags": ["new", "sale", number % 7],
        "details": {"brand": f"Brand {number % 50}", "weight": number % 900, "text": ""},
    }


def envelopes(
    count: int,
    *,
    datasets: int = 1,
    unique: bool = False,
    first: int = 0,
    payload: Callable[[int], dict[str, Any]] = payload,
    size: int = SIZE,
    newer: int = 0,
    more: Callable[[int], dict[str, Any]] = lambda _: {},
) -> Iterator[bytes]:
    """`count` messages over so many datasets in turn, as the extension sends them.

    `more` gives more fields of each envelope, and `size` is without them; `newer` are the seconds by which
    the ids are ahead of those of now.
    """
    for number in range(first, first + count):
        envelope: dict[str, Any] = {
            "jid": f"{number % datasets}.shop.{DATABASE}",
            "payload": payload(number),
            "unique": str(unique),
            "id": object_id(number, newer),
        }
        missing = size - len(orjson.dumps(envelope))
        envelope["payload"]["details"]["text"] = "x" * missing
        envelope.update(more(number))
        yield orjson.dumps(envelope)


def object_id(number: int, newer: int = 0) -> str:
    """Ascending, as the extension makes them: the second, five bytes of the run, and three that count."""
    return f"{int(time.time()) + newer:08x}{_RUN}{number:06x}"


def documents(messages: Iterable[bytes]) -> list[RawBSONDocument]:
    """What the messages become, ready for insert_many."""
    return [
        RawBSONDocument(bson.encode({"_id": ObjectId(envelope["id"]), **envelope["payload"]}))
        for envelope in map(orjson.loads, messages)
    ]


def fill(world: World, topic: str, messages: Iterable[bytes]) -> None:
    """Send the messages to the topic, over its partitions in runs, as a producer's batches come."""
    producer = KafkaProducer(
        bootstrap_servers=world.kafka,
        acks="all",
        linger_ms=20,
        batch_size=128 * 1024,
        metrics_enabled=False,
    )
    for number, message in enumerate(messages):
        producer.send(topic, message, partition=number // 50 % PARTITIONS)
    producer.flush()
    producer.close()
