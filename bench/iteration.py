"""iteration: a plain loop over a topic on Kafka that is left three times on the way."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

from bench.messages import envelopes, fill
from bench.outcome import Outcome, Ratio, rounds_of
from bench.world import World
from estela_queue_adapter import Consumer, Message, get_consumer_interface

_IDLE = 10.0  # seconds without a message after which what is missing is lost
_WHY = "the interpreter does the reading, the JSON and the loop on one core"
PLAIN, POLLED = "a plain loop", "poll and commit by hand"


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Messages a second from the first to the last commit, values included. A sixth of the messages."""
    count = max(100, messages // 6)
    topic = world.topic()
    fill(world, topic, envelopes(count))
    rates: dict[str, list[float]] = {PLAIN: [], POLLED: []}
    for _ in range(rounds):
        rates[PLAIN].append(_rate(world, topic, count, _loops))
        rates[POLLED].append(_rate(world, topic, count, _polls))
    sides = rounds_of(rates, "messages a second")
    told = "messages a second of a plain loop, none lost over three breaks"
    return Outcome("iteration", count, sides, [Ratio(told, sides[0].median, 20_000, why=_WHY)])


def _rate(world: World, topic: str, count: int, read: Callable[[Consumer, int], Iterator[Message]]) -> float:
    """Read all of the topic in a new group; raises RuntimeError if a message is missing."""
    seen: set[int] = set()
    began = 0.0
    with get_consumer_interface(
        "kafka", topic=topic, group=uuid.uuid4().hex, idle_timeout=_IDLE, listeners=world.kafka, environ={}
    ) as consumer:
        for message in read(consumer, count):
            began = began or time.monotonic()
            seen.add(message.value["payload"]["sku"])
            if len(seen) == count:
                break
    seconds = time.monotonic() - began
    if len(seen) != count:
        raise RuntimeError(f"{count - len(seen):,} of {count:,} messages were not handed out")
    return count / seconds


def _loops(consumer: Consumer, count: int) -> Iterator[Message]:
    """Four loops: each of the first three is left after a quarter of the messages."""
    for _ in range(3):
        for number, message in enumerate(consumer, 1):
            yield message
            if number >= count // 4:
                break
    yield from consumer


def _polls(consumer: Consumer, _: int) -> Iterator[Message]:
    while messages := consumer.poll(_IDLE, 500):
        yield from messages
        consumer.commit({message.partition: message.next for message in messages}.values())
