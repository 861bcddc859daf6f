"""Where benches run: real Kafka and real MongoDB, this machine's or ones that are named."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from devservers.kafka import create_topic
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA
from tests.faults.servers import servers

PARTITIONS = 4
CLIENTS = (KAFKA_PYTHON, LIBRDKAFKA)
_CACHE_GB = 4  # of mongod: with what tests give it, it would spend its time on evicting
# Nor without bytecode: what is installed has it.
_NOT_OURS = ("QUEUE_PLATFORM", "PYTHONDONTWRITEBYTECODE")
_ROOT = Path(__file__).parent.parent  # where processes find this package


@dataclass(frozen=True, slots=True)
class World:
    """The servers, and a folder for what a bench leaves behind."""

    kafka: str
    mongodb: str
    folder: Path
    client: MongoClient[dict[str, Any]]

    @property
    def environ(self) -> dict[str, str]:
        """What a command needs to find the servers, with the client that is the default."""
        return self.environ_of(KAFKA_PYTHON)

    def environ_of(self, client: str) -> dict[str, str]:
        """The same with a client of Kafka's."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)},
            "PYTHONPATH": str(_ROOT),
            "QUEUE_PLATFORM_CLIENT": client,
            "QUEUE_PLATFORM": "kafka",
            "QUEUE_PLATFORM_LISTENERS": self.kafka,
            "DB_CONNECTION": self.mongodb,
        }

    def topic(self) -> str:
        """A new topic."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        create_topic(self.kafka, name, PARTITIONS)
        return name

    def drop(self, database: str) -> None:
        """Empty a database, so that every side begins with nothing stored."""
        self.client.drop_database(database)

    def empty(self, database: str) -> None:
        """Remove every document; the collections stay."""
        for name in self.client[database].list_collection_names():
            self.client[database][name].delete_many({})

    def server_cpu(self) -> float:
        """Seconds of CPU that mongod has used so far."""
        told = self.client.admin.command("serverStatus")["extra_info"]
        return float(told.get("user_time_us", 0) + told.get("system_time_us", 0)) / 1e6

    def stored(self, database: str) -> int:
        """How many documents a database holds, over all its collections."""
        return int(self.client[database].command("dbStats")["objects"])

    def bytes_stored(self, database: str) -> int:
        """How many bytes its documents have, uncompressed, over all its collections."""
        return int(self.client[database].command("dbStats")["dataSize"])


@contextlib.contextmanager
def world() -> Iterator[World]:
    """KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI where they are set, else servers started for the occasion."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS"), os.environ.get("MONGODB_URI")
    with contextlib.ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="estela-bench-", ignore_cleanup_errors=True)
        kafka, mongodb = given
        if not (kafka and mongodb):
            started = stack.enter_context(servers(1, _CACHE_GB))
            kafka, mongodb = started.kafka.bootstrap_servers, started.mongodb.uri
        client = stack.enter_context(MongoClient[dict[str, Any]](mongodb))
        yield World(kafka, mongodb, Path(stack.enter_context(folder)), client)
