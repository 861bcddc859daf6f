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
    server = statistics.median(one.server_cpu for one in measured[OURS])
    sides = rounds_of(rates, "documents a second")
    ours, raw, ordered, unordered = sides
    best = max(ordered, unordered, key=lambda side: side.median)
    mine, its = statistics.median(cpu[OURS]), statistics.median(cpu[best.name])
    return Outcome(
        "drain",
        messages,
        [
            *sides,
            *rounds_of({f"{name}: client CPU": values for name, values in cpu.items()}, "µs a document"),
        ],
        [
            Ratio(
                "against the better of the connector's two",
                quotient(ours, best),
                3.0,
                why=f"client and mongod take {its:.0f} + {server:.0f} µs of CPU against {mine:.0f} + "
                f"{server:.0f}: two cores allow {(its + server) / (mine + server):.1f}, one process less",
            ),
            Ratio(
                "against plain insert_many of the same documents",
                quotient(ours, raw),
                0.55,
                why=f"{mine:.1f} µs a document are {1e6 / mine:,.0f} a second of one process at most, "
                f"{1e6 / mine / raw.median:.2f} of it",
            ),
        ],
        {"client_cpu": mine, "server_cpu": server},
    )
