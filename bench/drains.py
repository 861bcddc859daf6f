"""The sides of the drains: our consumer, and plain insert_many."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Sequence

from bson.raw_bson import RawBSONDocument
from pymongo import WriteConcern

from bench.messages import DATABASE
from bench.watch import Measured, Process, steady_rate
from bench.world import World
from estela_consumer.pipeline.batch import ChunkLimits
from estela_consumer.stores.mongodb.clustering import CLUSTERED_ON_ID
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON

_CONSUME = [sys.executable, "-c", "from estela_consumer.cli.consume import main; main()"]


def consume_command(topic: str, *arguments: str) -> list[str]:
    """`estela-consume` with a group of its own."""
    return [*_CONSUME, topic, "--group", f"bench-{uuid.uuid4().hex[:8]}", *arguments]


def drain(
    world: World,
    topic: str,
    expected: int,
    *,
    processes: int = 1,
    clean: bool = True,
    arguments: Sequence[str] = (),
    client: str = KAFKA_PYTHON,
    stored: Callable[[], int] | None = None,
) -> Measured:
    """`estela-consume --drain` as a real process, or several in one group, into MongoDB.

    `client` is Kafka's. `clean` drops what is stored before. `stored` counts what is done; new documents if
    it is not given.
    """
    if clean:
        world.drop(DATABASE)
    before = world.stored(DATABASE)
    count = stored or (lambda: world.stored(DATABASE) - before)
    busy = world.server_cpu()
    command = consume_command(topic, "--drain", "--json", *arguments)
    started = [
        Process(command, world.environ_of(client), world.folder / f"consume-{number}.log")
        for number in range(processes)
    ]

    def alive() -> None:
        for process in started:
            process.check()

    rate = steady_rate(count, expected, alive)
    ended = [process.wait() for process in started]
    return Measured(
        rate=rate,
        cpu=sum(cpu for cpu, _ in ended) / expected * 1e6,
        server_cpu=(world.server_cpu() - busy) / expected * 1e6,
        peak=max(peak for _, peak in ended),
    )


def cpu_of_start_and_end(world: World, topic: str, messages: int) -> float:
    """Seconds of CPU that a drain takes whatever it drains; the topic holds `messages`, which are few."""
    return drain(world, topic, messages).cpu * messages / 1e6


def insert_many(world: World, documents: Sequence[RawBSONDocument], *, clustered: bool = False) -> Measured:
    """The same documents by one thread that does nothing else: our chunk, our write concern.

    Into a plain collection, or one that is `clustered` on `_id` as ours are.
    """
    world.drop(DATABASE)
    if clustered:
        world.client[DATABASE].create_collection("raw", clusteredIndex=CLUSTERED_ON_ID)
    size = ChunkLimits().count
    chunks = [documents[at : at + size] for at in range(0, len(documents), size)]
    collection = world.client[DATABASE].get_collection("raw", write_concern=WriteConcern("majority"))
    collection.insert_many(chunks[0], ordered=False)  # connects, and makes the collection
    cpu, busy, began = time.process_time(), world.server_cpu(), time.monotonic()
    for chunk in chunks[1:]:
        collection.insert_many(chunk, ordered=False)
    seconds, inserted = time.monotonic() - began, max(1, len(documents) - size)
    return Measured(
        rate=inserted / seconds,
        cpu=(time.process_time() - cpu) / inserted * 1e6,
        server_cpu=(world.server_cpu() - busy) / inserted * 1e6,
    )
