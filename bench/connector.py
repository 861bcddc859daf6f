"""The other side: MongoDB's own Kafka connector, in Connect's standalone mode."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.messages import DATABASE
from bench.watch import Measured, Process, steady_rate
from bench.world import World
from devservers.kafka import java_command
from devservers.ports import free_port

# Each is resolved by itself: jgo mixes the parents of artifacts that are resolved together. The driver is
# named because the connector asks for a range of versions, which jgo cannot read.
_ENDPOINTS = (
    "org.apache.kafka:connect-runtime:4.1.0",
    "org.apache.kafka:connect-json:4.1.0",
    "org.mongodb.kafka:mongo-kafka-connect:2.0.1+org.mongodb:mongodb-driver-sync:4.7.2",
)
_HEAP = "1g"


_STRATEGIES = "com.mongodb.kafka.connect.sink.writemodel.strategy"
COLLECTION = "connector"
DEFAULTS: Mapping[str, str] = {}
"""The connector's own choice: each record replaces the document with its `_id`, or is inserted."""
INSERTS = {"writemodel.strategy": f"{_STRATEGIES}.InsertOneDefaultStrategy"}


def replaces_by(field: str) -> dict[str, str]:
    """One document for each value of the field, replaced by each message that has the value."""
    return {
        "writemodel.strategy": f"{_STRATEGIES}.ReplaceOneBusinessKeyStrategy",
        "document.id.strategy": "com.mongodb.kafka.connect.sink.processor.id.strategy.PartialValueStrategy",
        "document.id.strategy.partial.value.projection.type": "AllowList",
        "document.id.strategy.partial.value.projection.list": field,
        "document.id.strategy.overwrite.existing": "true",
    }


def move(
    world: World,
    topic: str,
    expected: int,
    *,
    ordered: bool,
    tasks: int = 1,
    strategy: Mapping[str, str] = INSERTS,
    poll: int | None = 5_000,
    stored: Callable[[], int] | None = None,
) -> Measured:
    """Have the connector write the topic into MongoDB, with the settings that are best for its speed.

    `poll` is how many records it takes at once, None for what Kafka's clients take by default.

    `stored` counts what is done in a database that holds something already; else it begins with nothing.
    """
    if stored is None:
        world.drop(DATABASE)
    name = f"{topic}-{'ordered' if ordered else 'unordered'}-{free_port()}"
    folder = world.folder / name
    folder.mkdir()
    worker = {
        "bootstrap.servers": world.kafka,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
        "offset.storage.file.filename": folder / "offsets",
        "listeners": f"http://127.0.0.1:{free_port()}",
        "plugin.discovery": "service_load",
    }
    sink = {
        "name": name,
        "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector",
        "tasks.max": tasks,
        "topics": topic,
        "connection.uri": f"{world.mongodb}&w=majority",
        "database": DATABASE,
        "collection": COLLECTION,
        **strategy,
        # As many in one write as a poll brings, and polls as large as a fetch.
        "max.batch.size": 0,
        "bulk.write.ordered": str(ordered).lower(),
        **({"consumer.override.max.poll.records": poll} if poll else {}),
    }
    busy = world.server_cpu()
    process = Process(
        [*_java(), "org.apache.kafka.connect.cli.ConnectStandalone",
         _properties(folder / "worker.properties", worker), _properties(folder / "sink.properties", sink)],
        world.environ,
        folder / "connect.log",
    )  # fmt: skip
    try:
        rate = steady_rate(stored or (lambda: world.stored(DATABASE)), expected, process.check)
    finally:
        cpu, peak = process.terminate()
    server_cpu = (world.server_cpu() - busy) / expected * 1e6
    return Measured(rate=rate, cpu=cpu / expected * 1e6, server_cpu=server_cpu, peak=peak)


@functools.cache
def _java() -> tuple[str, ...]:
    commands = [java_command(endpoint, _HEAP) for endpoint in _ENDPOINTS]
    return (*commands[0][:-1], ":".join(command[-1] for command in commands))


def _properties(path: Path, settings: dict[str, object]) -> str:
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return str(path)
