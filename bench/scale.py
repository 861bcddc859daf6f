"""scale: three processes of one group on four partitions, against one process."""

from __future__ import annotations

import os

from bench import drains
from bench.messages import envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World

PROCESSES = 3
_WHY = "broker and mongod leave the others no core, and one of three has two of the four partitions"


def run(world: World, messages: int, rounds: int) -> Outcome:
    """How far it goes depends on the cores: the servers take theirs from the same machine."""
    topic = world.topic()
    fill(world, topic, envelopes(messages))
    counts = {f"{PROCESSES} processes": PROCESSES, "one process": 1}
    rates: dict[str, list[float]] = {side: [] for side in counts}
    cpu: dict[str, list[float]] = {f"{side}: client CPU": [] for side in counts}
    for _ in range(rounds):
        for side, processes in counts.items():
            measured = drains.drain(world, topic, messages, processes=processes)
            rates[side].append(measured.rate)
            cpu[f"{side}: client CPU"].append(measured.cpu)
    sides = rounds_of(rates, "documents a second")
    return Outcome(
        "scale",
        messages,
        [*sides, *rounds_of(cpu, "µs a document")],
        [
            Ratio(
                f"{PROCESSES} processes against one, on {os.cpu_count()} cores",
                quotient(*sides),
                1.0,
                why=_WHY,
            )
        ],
    )
