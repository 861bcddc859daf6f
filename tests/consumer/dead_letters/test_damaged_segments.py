"""A broker whose disk is damaged: what is left is stored, the rest told, and the group gets past it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.kafka import KafkaCluster, create_topic
from tests.conftest import or_skip
from tests.consumer.commands import drain, envelope, exported, run
from tests.fuzz.raw_batches import Record, batch_of, now_ms
from tests.fuzz.wire import RawProducer

pytestmark = pytest.mark.servers

BATCHES, DAMAGED, EACH = 60, 30, 3


@pytest.fixture
def cluster(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaCluster]:
    with or_skip("Apache Kafka"):
        cluster = KafkaCluster(workdir / "kafka")
        cluster.start()
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", cluster.bootstrap_servers)
    yield cluster
    cluster.stop()


def publish_batches(cluster: KafkaCluster, topic: str) -> None:
    create_topic(cluster.bootstrap_servers, topic, 1)
    with RawProducer(cluster.bootstrap_servers) as producer:
        for batch in range(BATCHES):
            numbers = range(batch * EACH, (batch + 1) * EACH)
            values = [
                json.dumps(envelope({"n": n, "text": "x" * 100}, jid="1.s.p")).encode() for n in numbers
            ]
            sent = batch_of([Record(None, value) for value in values], timestamp=now_ms())
            assert producer.send(topic, 0, sent).error == 0


def damage(folder: Path, topic: str, *, size: bool) -> None:
    """Spoil what the head of a batch says of its size, or a byte of its records."""
    [segment] = folder.rglob(f"{topic}-0/*.log")
    data, at = bytearray(segment.read_bytes()), 0
    for _ in range(DAMAGED):
        at += 12 + struct.unpack_from(">i", data, at + 8)[0]
    if size:
        struct.pack_into(">i", data, at + 8, 3)
    else:
        data[at + 100] ^= 0xFF
    segment.write_bytes(data)


def test_a_damaged_segment_costs_what_cannot_be_read_and_no_more(
    cluster: KafkaCluster, workdir: Path
) -> None:
    """Given a batch that fails its checksum, and one at which the broker itself can read no further."""
    for topic in ("checksum", "size"):
        publish_batches(cluster, topic)
    cluster.brokers[0].stop()
    damage(workdir / "kafka", "checksum", size=False)
    damage(workdir / "kafka", "size", size=True)
    cluster.brokers[0].start()

    result, again = drain("checksum", "size"), drain("checksum", "size")

    assert (result.code, again.code) == (3, 0), result.err
    assert again.summary["topics"]["size"]["read"] == 0
    lost = set(range(DAMAGED * EACH, (DAMAGED + 1) * EACH))
    assert numbers_of("checksum") == set(range(BATCHES * EACH)) - lost
    told = [json.loads(line) for line in run("estela-dead-letters", "export", "checksum").out.splitlines()]
    assert [(one["reason"], one["unreadable_from"], one["offset"]) for one in told] == [
        ("unreadable", min(lost), max(lost))
    ]
    told = [json.loads(line) for line in run("estela-dead-letters", "export", "size").out.splitlines()]
    unreadable = {one["offset"] for one in told}
    assert lost <= unreadable
    assert numbers_of("size") == set(range(BATCHES * EACH)) - unreadable
    assert len(unreadable) < 20


def numbers_of(topic: str) -> set[int]:
    return {document["n"] for document in exported(f"p/s-1-{topic}")}
