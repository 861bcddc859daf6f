"""memory: the peak of a drain with a large backlog, against a tenth of it."""

from __future__ import annotations

from bench import drains
from bench.messages import envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import CLIENTS, World

LIMIT = 150.0  # megabytes
_TOPICS = 8
_EIGHT = "eight topics in one process, {}"
_WHY = "each topic has clients, a fetch under way and two batches of its own"


def run(world: World, messages: int, rounds: int) -> Outcome:
    """1,000,000 messages for every 600,000 that are asked for."""
    large = messages * 5 // 3
    backlogs = {f"backlog of {large:,}": large, f"backlog of {large // 10:,}": large // 10}
    topics = {}
    for side, count in backlogs.items():
        topics[side] = world.topic()
        fill(world, topics[side], envelopes(count))
    several = [world.topic() for _ in range(_TOPICS)]
    for one in several:
        fill(world, one, envelopes(large // _TOPICS))
    peaks: dict[str, list[float]] = {side: [] for side in (*backlogs, *(_EIGHT.format(c) for c in CLIENTS))}
    for _ in range(rounds):
        for side, count in backlogs.items():
            peaks[side].append(drains.drain(world, topics[side], count).peak)
        for client in CLIENTS:
            measured = drains.drain(
                world, several[0], large // _TOPICS * _TOPICS, arguments=several[1:], client=client
            )
            peaks[_EIGHT.format(client)].append(measured.peak)
    sides = rounds_of(peaks, "MB at the peak")
    return Outcome(
        "memory",
        large,
        sides,
        [
            Ratio(
                "the large backlog against the small one",
                quotient(sides[0], sides[1]),
                1.1,
                at_least=False,
                why="a drain of the small one ends before buffers and heap have their full size",
            ),
            Ratio("the peak", sides[0].median, LIMIT, at_least=False, unit=" MB"),
            *(
                Ratio(f"the peak, {side.name}", side.median, LIMIT, at_least=False, unit=" MB", why=_WHY)
                for side in sides[2:]
            ),
        ],
    )
