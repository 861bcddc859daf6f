"""typed: a drain of items with three dates and a decimal, kept as such, against the same as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from bench import drains
from bench.messages import envelopes, fill, payload
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.world import World

TYPED, PLAIN = "three dates and a decimal as BSON types", "the same as text"
_FEW = 500  # messages of the drain that shows what starting and ending cost
_SIZE = 640  # bytes of a message
_BEGAN = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)


def run(world: World, messages: int, rounds: int) -> Outcome:
    """Client CPU of the whole process, without its start and end, in turns."""
    few = min(_FEW, messages)
    short, topics = world.topic(), {TYPED: world.topic(), PLAIN: world.topic()}
    fill(world, short, envelopes(few))
    fill(
        world, topics[TYPED], envelopes(messages, payload=typed, size=_SIZE, more=lambda _: {"types": "bson"})
    )
    fill(world, topics[PLAIN], envelopes(messages, payload=as_text, size=_SIZE))
    cpu: dict[str, list[float]] = {TYPED: [], PLAIN: []}
    for _ in range(rounds):
        around = drains.cpu_of_start_and_end(world, short, few) / messages * 1e6
        for side, topic in topics.items():
            cpu[side].append(drains.drain(world, topic, messages).cpu - around)
    found = rounds_of(cpu, "µs of client CPU a document")
    told = "typed against plain"
    return Outcome("typed", messages, found, [Ratio(told, quotient(*found), 1.5, at_least=False)])


def item(number: int) -> dict[str, Any]:
    """A product with three dates and a decimal, as a spider yields it."""
    return _product(number, lambda date: date, lambda price: price)


def typed(number: int) -> dict[str, Any]:
    """The same in Extended JSON, as the extension writes it."""
    return _product(
        number,
        lambda date: {"$date": f"{date:%Y-%m-%dT%H:%M:%S}.{date.microsecond // 1000:03}Z"},
        lambda price: {"$numberDecimal": str(price)},
    )


def as_text(number: int) -> dict[str, Any]:
    """The same as the extension writes it without types."""
    return _product(number, datetime.isoformat, str)


def _product(
    number: int, of_date: Callable[[datetime], Any], of_decimal: Callable[[Decimal], Any]
) -> dict[str, Any]:
    seen = _BEGAN + timedelta(seconds=number, milliseconds=number % 1000)
    return {
        **payload(number),
        "price": of_decimal(Decimal(number % 1000) / 10),
        "scraped_at": of_date(seen),
        "published_at": of_date(seen - timedelta(days=number % 300)),
        "valid_until": of_date(seen + timedelta(days=30)),
    }
