"""drain: one process and one dataset, against MongoDB's Kafka connector and plain insert_many."""

from __future__ import annotations

import statistics

from bench import connector, drains
from bench.messages import documents, envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World

OURS = "estela-consume --drain"
ORDERED = "MongoDB's connector, ordered"
UNORDERED = "MongoDB's connector, unordered"
_WHY = "two busy processes and a broker share the cores; see the CPU for a document"
RAW = "insert_many, one thread"


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Every side moves the same messages, in turns."""
    topic, sent = world.topic(), list(envelopes(messages))
    fill(world, topic, sent)
    made = documents(sent)
    rates: dict[str, list[float]] = {OURS: [], RAW: [], ORDERED: [], UNORDERED: []}
    cpu: dict[str, list[float]] = {OURS: [], RAW: []}
    server: list[float] = []
    for _ in range(rounds):
        for side, measured in (
            (OURS, drains.drain(world, topic, messages)),
            (RAW, drains.insert_many(world, made)),
        ):
            rates[side].append(measured.rate)
            cpu[side].append(measured.cpu)
            server += [measured.server_cpu] if side == OURS else []
        rates[ORDERED].append(connector.move(world, topic, messages, ordered=True).rate)
        rates[UNORDERED].append(connector.move(world, topic, messages, ordered=False).rate)
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
