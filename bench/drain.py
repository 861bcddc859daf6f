"""drain: one process and one dataset, against MongoDB's Kafka connector and plain insert_many."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench import connector, drains
from bench.messages import documents, envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Measured
from bench.world import World

OURS = "estela-consume --drain"
ORDERED = "MongoDB's connector, ordered"
UNORDERED = "MongoDB's connector, unordered"
_WHY = "on two cores that other work kept busy meanwhile; see the CPU for a document"
RAW = "insert_many, one thread"


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Every side moves the same messages, in turns."""
    topic, sent = world.topic(), list(envelopes(messages))
    fill(world, topic, sent)
    made = documents(sent)
    ways: dict[str, Callable[[], Measured]] = {
        OURS: lambda: drains.drain(world, topic, messages),
        RAW: lambda: drains.insert_many(world, made),
        ORDERED: lambda: connector.move(world, topic, messages, ordered=True),
        UNORDERED: lambda: connector.move(world, topic, messages, ordered=False),
    }
    measured: dict[str, list[Measured]] = {side: [] for side in ways}
    for _ in range(rounds):
        for side, way in ways.items():
            measured[side].append(way())
    rates = {side: [one.rate for one in found] for side, found in measured.items()}
    cpu = {side: [one.cpu for one in found] for side, found in measured.items()}
    server = [one.server_cpu for one in measured[OURS]]
    sides = rounds_of(rates, "documents a second")
    ours, raw, ordered, unordered = sides
    best = max(ordered, unordered, key=lambda side: side.median)
    return Outcome(
        "drain",
        messages,
        [
            *sides,
            *rounds_of({f"{name}: client CPU": values for name, values in cpu.items()}, "µs a document"),
        ],
        [
            Ratio("against the better of the connector's two", quotient(ours, best), 3.0, why=_WHY),
            Ratio("against plain insert_many of the same documents", quotient(ours, raw), 0.55, why=_WHY),
        ],
        {"client_cpu": statistics.median(cpu[OURS]), "server_cpu": statistics.median(server)},
    )
