"""unique: what an item of a unique dataset costs with many stored, against few."""

from __future__ import annotations

import hashlib

from bson.objectid import ObjectId

from bench import drains
from bench.messages import DATABASE, envelopes, fill, payload
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World
from estela_consumer.stores.mongodb.clustering import CLUSTERED_ON_ID

FEW = 1_000
_MANY_FOR_ONE = 10  # stored documents for each that is moved: 1,000,000 for 100,000
_WHY = "the ids lie all over a collection that grows"
_INSERT = 5_000


def run(world: World, messages: int, rounds: int) -> Outcome:
    """A sixth of the messages are moved, into a collection that holds ten times as many or hardly any."""
    moved = max(100, messages // 6)
    many = moved * _MANY_FOR_ONE
    sides = {f"{many:,} stored": many, f"{FEW:,} stored": FEW}
    cpu: dict[str, list[float]] = {side: [] for side in sides}
    clock: dict[str, list[float]] = {f"{side}: on the clock": [] for side in sides}
    for number in range(rounds):
        for side, stored in sides.items():
            topic = world.topic()
            fill(world, topic, envelopes(moved, unique=True, first=(number + 1) * moved))
            world.drop(DATABASE)
            _store(world, f"shop-0-{topic}", stored)
            world.client.admin.command("fsync")  # or mongod would still be busy with what was stored
            measured = drains.drain(world, topic, moved, clean=False)
            cpu[side].append(measured.cpu + measured.server_cpu)
            clock[f"{side}: on the clock"].append(1e6 / measured.rate)
    large, small = rounds_of(cpu, "µs of CPU an item")
    told = f"cost of an item with {many:,} stored against {FEW:,}"
    return Outcome(
        "unique",
        moved,
        [large, small, *rounds_of(clock, "µs an item")],
        [Ratio(told, quotient(large, small), 1.2, at_least=False, why=_WHY)],
    )


def _store(world: World, collection: str, count: int) -> None:
    """Documents whose ids lie as those of unique items do, in a collection as the consumer creates it."""
    world.client[DATABASE].create_collection(collection, clusteredIndex=CLUSTERED_ON_ID)
    for first in range(0, count, _INSERT):
        world.client[DATABASE][collection].insert_many(
            [
                {"_id": ObjectId(hashlib.sha256(b"%d" % number).digest()[:12]), **payload(number)}
                for number in range(first, min(count, first + _INSERT))
            ],
            ordered=False,
        )
