"""drain: one process and one dataset, against MongoDB's Kafka connector and plain insert_many."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench import connector, drains
from bench.messages import documents, envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Measured
from bench.world import World
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA

OURS = "estela-consume --drain, librdkafka"
BY_DEFAULT = "estela-consume --drain, kafka-python"
RAW = "insert_many, one thread"
CLUSTERED = "insert_many, one thread, clustered collection"
BEST = "MongoDB's connector at its best: inserts, unordered, 5,000 a poll"
DEFAULTS = "MongoDB's connector at its defaults: upserts, ordered, 500 a poll"


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Every side moves the same messages, in turns."""
    topic, sent = world.topic(), list(envelopes(messages))
    fill(world, topic, sent)
    made = documents(sent)
    ways: dict[str, Callable[[], Measured]] = {
        OURS: lambda: drains.drain(world, topic, messages, client=LIBRDKAFKA),
        BY_DEFAULT: lambda: drains.drain(world, topic, messages, client=KAFKA_PYTHON),
        RAW: lambda: drains.insert_many(world, made),
        CLUSTERED: lambda: drains.insert_many(world, made, clustered=True),
        BEST: lambda: connector.move(world, topic, messages, ordered=False),
        DEFAULTS: lambda: connector.move(
            world, topic, messages, ordered=True, strategy=connector.DEFAULTS, poll=None
        ),
    }
    measured: dict[str, list[Measured]] = {side: [] for side in ways}
    for _ in range(rounds):
        for side, way in ways.items():
            measured[side].append(way())
    rates = {side: [one.rate for one in found] for side, found in measured.items()}
    cpu = {side: [one.cpu for one in found] for side, found in measured.items()}
    of_server = {side: [one.server_cpu for one in found] for side, found in measured.items()}
    sides = rounds_of(rates, "documents a second")
    ours, _, raw, _, best, defaults = sides
    found = {side: statistics.median(values) for side, values in cpu.items()}
    server = {side: statistics.median(values) for side, values in of_server.items()}
    return Outcome(
        "drain",
        messages,
        [
            *sides,
            *rounds_of({f"{name}: client CPU": values for name, values in cpu.items()}, "µs a document"),
            *rounds_of(
                {f"{name}: mongod's CPU": values for name, values in of_server.items()}, "µs a document"
            ),
        ],
        [
            Ratio(
                "librdkafka, against the connector at its best",
                quotient(ours, best),
                1.9,
                why=f"client and mongod take {found[BEST]:.1f} + {server[BEST]:.1f} µs of CPU against "
                f"{found[OURS]:.1f} + {server[OURS]:.1f}: two cores allow "
                f"{(found[BEST] + server[BEST]) / (found[OURS] + server[OURS]):.1f}",
            ),
            Ratio("librdkafka, against the connector at its defaults", quotient(ours, defaults), 5.0),
            Ratio(
                "librdkafka, against plain insert_many of the same documents",
                quotient(ours, raw),
                0.85,
                why=f"{found[OURS]:.1f} µs a document are {1e6 / found[OURS]:,.0f} a second of one process "
                f"at most, {1e6 / found[OURS] / raw.median:.2f} of it",
            ),
            *(
                Ratio(f"client CPU for a document, {client}", found[side], goal, at_least=False, unit=" µs")
                for client, side, goal in ((LIBRDKAFKA, OURS, 9.0), (KAFKA_PYTHON, BY_DEFAULT, 11.0))
            ),
        ],
        {"client_cpu": found[BY_DEFAULT], "server_cpu": server[BY_DEFAULT]},
    )
