"""The servers that faults happen to."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from pymongo.errors import PyMongoError

from devservers.kafka import KafkaBroker, KafkaCluster
from devservers.mongodb import CACHE_GB, FAIL_POINTS, MongoMember, MongoReplicaSet
from devservers.ports import wait_until


class Servers:
    """A Kafka cluster and a replica set, of one or of three each."""

    def __init__(self, folder: Path, size: int, mongodb_cache_gb: float) -> None:
        self.size = size
        self.kafka = KafkaCluster(folder / "kafka", size)
        self.mongodb = MongoReplicaSet(folder / "mongodb", size, mongodb_cache_gb, FAIL_POINTS)

    @property
    def environ(self) -> dict[str, str]:
        """What a command needs to find them."""
        return {
            "QUEUE_PLATFORM": "kafka",
            "QUEUE_PLATFORM_LISTENERS": self.kafka.bootstrap_servers,
            "DB_CONNECTION": self.mongodb.uri,
        }

    def restart_broker(self, broker: KafkaBroker, *, kill: bool) -> None:
        """End a broker, in good order or not, and start it again on its data."""
        broker.kill() if kill else broker.stop()
        broker.start()

    def replicas_caught_up(self, topic: str) -> bool:
        """Whether every partition of `topic` has all its replicas."""
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
        except KafkaError:
            return False
        try:
            [described] = admin.describe_topics([topic])
            return all(len(part["isr_nodes"]) == self.size for part in described["partitions"])
        except KafkaError:
            return False
        finally:
            admin.close()

    def step_down(self) -> None:
        """Have the primary hand over, and return when another has taken over."""
        before = self.mongodb.primary()
        if before is None:
            return
        with contextlib.suppress(PyMongoError), before.client() as client:
            client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=2, force=True)
        self.mongodb.wait_primary()

    def kill_primary(self) -> MongoMember | None:
        """Kill the primary and return it when another has taken over."""
        primary = self.mongodb.primary()
        if primary is not None:
            primary.kill()
            self.mongodb.wait_primary()
        return primary

    @contextlib.contextmanager
    def failing_writes(self, code: int) -> Iterator[None]:
        """The only member answers each of the consumer's inserts with this error, until the block ends."""
        [member] = self.mongodb.members
        commands = {"failCommands": ["insert", "create"], "appName": "estela-consume", "errorCode": code}
        with member.client() as client:
            fail: dict[str, object] = {"configureFailPoint": "failCommand"}
            client.admin.command({**fail, "mode": "alwaysOn", "data": commands})
            try:
                yield
            finally:
                client.admin.command({**fail, "mode": "off"})

    def members_caught_up(self) -> bool:
        """Whether every member is primary or secondary."""
        primary = self.mongodb.primary()
        if primary is None:
            return False
        try:
            with primary.client() as client:
                states = [member["state"] for member in client.admin.command("replSetGetStatus")["members"]]
        except PyMongoError:
            return False
        return sorted(states) == [1] + [2] * (self.size - 1)

    def any_broker(self, chance: random.Random) -> KafkaBroker:
        """One of the brokers."""
        return chance.choice(self.kafka.brokers)


@contextlib.contextmanager
def servers(size: int, mongodb_cache_gb: float = CACHE_GB) -> Iterator[Servers]:
    """Servers on free ports in a temporary folder, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="estela-faults-", ignore_cleanup_errors=True) as folder:
        started = Servers(Path(folder), size, mongodb_cache_gb)
        try:
            started.kafka.start()
            started.mongodb.start()
            wait_until(started.members_caught_up, "a complete replica set")
            yield started
        finally:
            started.kafka.stop()
            started.mongodb.stop()
