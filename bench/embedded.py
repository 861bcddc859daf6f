"""embedded: a drain from the one file into the other, against Kafka into MongoDB."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from bench import drains
from bench.messages import envelopes, fill
from bench.outcome import Outcome, Ratio, quotient, rounds_of
from bench.watch import Measured, Process, steady_rate
from bench.world import World
from estela_queue_adapter.messages import Outgoing
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog

_TOPIC = "bench"
_APPEND = 5_000


def run(world: World, messages: int, rounds: int) -> Outcome:
    """The same messages in both queues."""
    topic = world.topic()
    fill(world, topic, envelopes(messages))
    _fill_file(world, messages)
    rates: dict[str, list[float]] = {"embedded queue and store": [], "Kafka and MongoDB": []}
    for number in range(rounds):
        rates["embedded queue and store"].append(_drain(world, number, messages).rate)
        rates["Kafka and MongoDB"].append(drains.drain(world, topic, messages).rate)
    sides = rounds_of(rates, "documents a second")
    ratio = Ratio("embedded against Kafka and MongoDB", quotient(*sides), 1.0)
    return Outcome("embedded", messages, sides, [ratio])


def _fill_file(world: World, messages: int) -> None:
    with contextlib.closing(EmbeddedLog(world.folder / "queue.db")) as log:
        sent = list(envelopes(messages))
        for at in range(0, messages, _APPEND):
            log.append([Outgoing(_TOPIC, data) for data in sent[at : at + _APPEND]])


def _drain(world: World, number: int, messages: int) -> Measured:
    store = world.folder / f"store-{number}.db"
    environ = {
        **world.environ,
        "QUEUE_PLATFORM": "embedded",
        "QUEUE_PLATFORM_PATH": str(world.folder / "queue.db"),
        "DB_CONNECTION": f"sqlite:///{store}",
    }
    command = drains.consume_command(_TOPIC, "--drain", "--json")
    process = Process(command, environ, world.folder / f"embedded-{number}.log")
    rate = steady_rate(lambda: _seen(store), messages, process.check)
    cpu, peak = process.wait()
    with contextlib.closing(sqlite3.connect(store)) as db:
        (stored,) = db.execute("SELECT COUNT(*) FROM documents").fetchone()
    if stored != messages:
        raise RuntimeError(f"{stored:,} of {messages:,} documents are in {store}")
    store.unlink()
    return Measured(rate, cpu / messages * 1e6, peak)


def _seen(store: Path) -> int:
    """How far it is, by the count in the highest id: counting rows would read the whole file each time."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
            (highest,) = db.execute("SELECT MAX(id) FROM documents WHERE dataset = 1").fetchone()
    except sqlite3.OperationalError:  # not there yet
        return 0
    return int.from_bytes(highest[-3:], "big") + 1 if highest else 0
