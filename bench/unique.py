"""unique: what an item of a unique dataset costs with many stored, against few."""

from __future__ import annotations

import hashlib

from bson.objectid import ObjectId

from bench import drains
from bench.messages import DATABASE, envelopes, fill, payload
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World

FEW = 1_000
_MANY_FOR_ONE = 10  # stored documents for each that is moved: 1,000,000 for 100,000
_INSERT = 5_000


def run(world: World, messages: int, rounds: int) -> Outcome:
    """A sixth of the messages are moved, into a collection that holds ten times as many or hardly any."""
    moved = max(100, messages // 6)
    many = moved * _MANY_FOR_ONE
    costs: dict[str, list[float]] = {f"{many:,} stored": [], f"{FEW:,} stored": []}
    for number in range(rounds):
        for values, stored in zip(costs.values(), (many, FEW), strict=True):
            topic = world.topic()
            fill(world, topic, envelopes(moved, unique=True, first=(number + 1) * moved))
            world.drop(DATABASE)
            _store(world, f"shop-0-{topic}", stored)
            rate = drains.drain(world, topic, moved, clean=False).rate
            values.append(1e6 / rate)
    sides = rounds_of(costs, "µs an item")
    told = f"cost of an item with {many:,} stored against {FEW:,}"
    return Outcome("unique", moved, sides, [Ratio(told, quotient(*sides), 1.2, at_least=False)])


def _store(world: World, collection: str, count: int) -> None:
    """Documents whose ids lie as those of unique items do: all over the index."""
    for first in range(0, count, _INSERT):
        world.client[DATABASE][collection].insert_many(
            [
                {"_id": ObjectId(hashlib.sha256(b"%d" % number).digest()[:12]), **payload(number)}
                for number in range(first, min(count, first + _INSERT))
            ],
            ordered=False,
        )
