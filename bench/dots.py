"""dots: decoding messages whose payload has keys with dots, against the same keys without."""

from __future__ import annotations

import time
from typing import Any

from bench.messages import envelopes, payload
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World
from estela_consumer.decoding.decoder import decode_all
from estela_consumer.decoding.drafts import MOST_TOGETHER
from estela_queue_adapter import Message
from estela_queue_adapter.collector import settle_into_consuming

DOTTED, PLAIN = "keys with dots", "the same keys without dots"
_MOST = 100_000  # messages: they are held in memory
_WHY = "keys are escaped by the interpreter, and the rest is C"


def run(_world: World, messages: int, rounds: int) -> Outcome:
    """From the bytes of a message to its document in BSON, in CPU. No server takes part."""
    count = min(messages, _MOST)
    sides = {
        DOTTED: [_message(number, data) for number, data in enumerate(envelopes(count, payload=dotted))],
        PLAIN: [_message(number, data) for number, data in enumerate(envelopes(count, payload=undotted))],
    }
    settle_into_consuming()
    cost: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, sent in sides.items():
            cost[side].append(_cost(sent))
    found = rounds_of(cost, "µs of CPU a document")
    told = "decoding keys with dots against the same keys without"
    return Outcome("dots", count, found, [Ratio(told, quotient(*found), 1.5, at_least=False, why=_WHY)])


def dotted(number: int) -> dict[str, Any]:
    """A product with dots in its keys: at the top, in an object, and in a list."""
    return _product(number, ".")


def undotted(number: int) -> dict[str, Any]:
    """The same product, as long, without one."""
    return _product(number, "_")


def _product(number: int, between: str) -> dict[str, Any]:
    product = payload(number)
    product[f"price{between}eur"] = product.pop("price")
    product["details"][f"size{between}cm"] = number % 90
    product["offers"] = [{f"shop{between}name": f"Shop {number % 30}"}]
    return product


def _message(number: int, data: bytes) -> Message:
    return Message("items", 0, number, 1_700_000_000.0, None, data, ())


def _cost(sent: list[Message]) -> float:
    began = time.process_time()
    for at in range(0, len(sent), MOST_TOGETHER):
        decode_all(sent[at : at + MOST_TOGETHER])
    return (time.process_time() - began) / len(sent) * 1e6
