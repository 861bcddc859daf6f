"""keyed: one document for each value of a key, replaced by the newest message that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
from bson.int64 import Int64

from bench import connector, drains
from bench.messages import DATABASE, SIZE, envelopes, fill, payload
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Measured
from bench.world import World

PLAIN, NEW, THERE = "plain", "replace, all keys new", "replace, all keys there"
_WHY = "the key's text and hash, and `_estela`, are made by the interpreter for each message"
CONNECTOR = "MongoDB's connector, business key, all keys there"
_KEY = "sku"
_GROWS = 64  # bytes by which the second content of a product is longer: they show how many are replaced
_FEW = 500  # messages of the drain that shows what starting and ending cost
_ITEMS_A_PAGE = 20
_BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def run(world: World, messages: int, rounds: int) -> Outcome:
    """A sixth of the messages. Every side moves the same products, in turns.

    The connector gets their payloads alone, which are less to read, and a unique index on the key.
    """
    count = max(100, messages // 6)
    few = min(_FEW, count)
    topics = {name: world.topic() for name in ("few", "plain", "first", "second", "bare second")}
    fill(world, topics["few"], envelopes(few))
    fill(world, topics["plain"], envelopes(count, payload=_first))
    for name, keyed in (("first", _contents(count, 1)), ("second", _contents(count, 2))):
        fill(world, topics[name], keyed)
    fill(world, topics["bare second"], map(_bare, _contents(count, 2)))
    cpu: dict[str, list[float]] = {PLAIN: [], NEW: [], THERE: []}
    rates: dict[str, list[float]] = {THERE: [], CONNECTOR: []}
    for _ in range(rounds):
        around = drains.cpu_of_start_and_end(world, topics["few"], few) / count * 1e6
        cpu[PLAIN].append(drains.drain(world, topics["plain"], count).cpu - around)
        cpu[NEW].append(drains.drain(world, topics["first"], count).cpu - around)
        replaced = _replaced(world, count, lambda grown: drains.drain(
            world, topics["second"], count, clean=False, stored=grown))  # fmt: skip
        cpu[THERE].append(replaced.cpu - around)
        rates[THERE].append(replaced.rate)
        _fill_connectors(world, count)
        rates[CONNECTOR].append(_replaced(world, count, lambda grown: connector.move(
            world, topics["bare second"], count, ordered=False,
            strategy=connector.replaces_by(_KEY), stored=grown)).rate)  # fmt: skip
    plain, new, _ = costs = rounds_of(cpu, "µs of client CPU a message")
    ours, its = speeds = rounds_of(rates, "messages a second")
    return Outcome(
        "keyed",
        count,
        [*costs, *speeds],
        [
            Ratio(
                "replace with all keys new against plain", quotient(new, plain), 1.3, at_least=False, why=_WHY
            ),
            Ratio("replace with all keys there against the connector", quotient(ours, its), 1.5),
        ],
    )


def _first(number: int) -> dict[str, Any]:
    return {**payload(number), "version": 1}


def _second(number: int) -> dict[str, Any]:
    return {**payload(number), "version": 2}


def _contents(count: int, version: int) -> Iterator[bytes]:
    """The products, keyed; the second version is newer than the first, and longer."""
    return envelopes(
        count,
        payload=_first if version == 1 else _second,
        size=SIZE + (version - 1) * _GROWS,
        newer=(version - 1) * 3600,
        more=_keyed,
    )


def _keyed(number: int) -> dict[str, Any]:
    """What the extension says of a keyed item, of a crawl that brings a hundred a second."""
    scraped_at = _BEGAN + timedelta(milliseconds=10 * number)
    return {
        "dataset_name": "products",
        "key": [_KEY],
        "on_existing": "replace",
        "metadata": {
            "url": f"https://shop.example/products?page={number // _ITEMS_A_PAGE}",
            "scraped_at": f"{scraped_at:%Y-%m-%dT%H:%M:%S}.{scraped_at.microsecond // 1000:03}Z",
        },
    }


def _bare(message: bytes) -> bytes:
    return orjson.dumps(orjson.loads(message)["payload"])


def _fill_connectors(world: World, count: int) -> None:
    """What is there before the connector replaces it, as its first run would have left it."""
    world.drop(DATABASE)
    collection = world.client[DATABASE][connector.COLLECTION]
    collection.create_index(_KEY, unique=True)
    chunk: list[dict[str, Any]] = []
    for message in _contents(count, 1):
        chunk.append(_as_the_connector_has_it(orjson.loads(message)["payload"]))
        if len(chunk) == 5_000:
            collection.insert_many(chunk, ordered=False)
            chunk = []
    if chunk:
        collection.insert_many(chunk, ordered=False)


def _as_the_connector_has_it(value: Any) -> Any:
    """Its converter makes a long of every whole number."""
    if isinstance(value, dict):
        return {name: _as_the_connector_has_it(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_the_connector_has_it(inner) for inner in value]
    return Int64(value) if type(value) is int else value


def _replaced(world: World, count: int, move: Callable[[Callable[[], int]], Measured]) -> Measured:
    """Move the second contents over the first; raises RuntimeError unless each is replaced, and once."""
    before = world.bytes_stored(DATABASE)
    measured = move(lambda: (world.bytes_stored(DATABASE) - before) // _GROWS)
    [name] = world.client[DATABASE].list_collection_names()
    found = world.client[DATABASE][name].count_documents({"version": 2})
    if not found == count == world.stored(DATABASE):
        raise RuntimeError(f"{found:,} of {count:,} documents are replaced, of {world.stored(DATABASE):,}")
    return measured
