"""wide: 1,000 datasets interleaved, against the same messages in one dataset."""

from __future__ import annotations

from bench import drains
from bench.messages import DATABASE, envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World

_DATASETS = 1_000


def run(world: World, messages: int, rounds: int) -> Outcome:
    """The collections are there already in both: making 1,000 of them is not what is measured."""
    datasets = max(2, min(_DATASETS, messages // 100))
    topics = {f"{datasets:,} datasets": world.topic(), "one dataset": world.topic()}
    for topic, mixed in zip(topics.values(), (datasets, 1), strict=True):
        fill(world, topic, envelopes(messages, datasets=mixed))
    rates: dict[str, list[float]] = {side: [] for side in topics}
    cpu: dict[str, list[float]] = {f"{side}: client CPU": [] for side in topics}
    for number in range(rounds):
        for side, topic in topics.items():
            if number == 0:
                drains.drain(world, topic, messages, clean=False)  # makes the collections
            world.empty(DATABASE)
            measured = drains.drain(world, topic, messages, clean=False)
            rates[side].append(measured.rate)
            cpu[f"{side}: client CPU"].append(measured.cpu)
    sides = rounds_of(rates, "documents a second")
    return Outcome(
        "wide",
        messages,
        [*sides, *rounds_of(cpu, "µs a document")],
        [Ratio(f"{datasets:,} datasets against one", quotient(*sides), 0.5)],
    )
