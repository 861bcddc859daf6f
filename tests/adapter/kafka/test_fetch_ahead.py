"""What a reader has fetched and not handed out is bounded in bytes by a setting, with both clients."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from confluent_kafka import Consumer as ConfluentConsumer
from kafka import KafkaProducer

from devservers.kafka import create_topic
from estela_queue_adapter import Subscription, open_platform
from estela_queue_adapter.platforms.kafka.librdkafka.options import consumer_options
from estela_queue_adapter.platforms.kafka.platform import KafkaPlatform
from estela_queue_adapter.platforms.kafka.settings import FETCH_LEAST, KafkaSettings

MESSAGE, BATCH = 10_000, 16_384  # bytes
COUNT = 400
DEFAULT = 16 * 1024 * 1024


@pytest.fixture
def topic(kafka: str, unique: str) -> str:
    """Four partitions with 1 MB in each, in batches of one message."""
    create_topic(kafka, unique, 4)
    producer = KafkaProducer(bootstrap_servers=kafka, batch_size=BATCH)
    for number in range(COUNT):
        producer.send(unique, b"x" * MESSAGE, partition=number % 4)
    producer.close()
    return unique


def platform_of(kafka: str, **arguments: Any) -> KafkaPlatform:
    platform = open_platform("kafka", listeners=kafka, **arguments)
    assert isinstance(platform, KafkaPlatform)
    return platform


def settings_of(platform: object) -> KafkaSettings:
    assert isinstance(platform, KafkaPlatform)
    return platform._settings


@pytest.mark.parametrize("client", ["kafka-python", "librdkafka"])
@pytest.mark.parametrize(("readers", "each"), [(1, DEFAULT), (8, DEFAULT // 8), (1_000, FETCH_LEAST)])
def test_readers_of_one_process_share_what_one_may_have(client: str, readers: int, each: int) -> None:
    platform = platform_of("host", client=client)

    assert settings_of(platform.shared_by(readers)).fetch_max_bytes == each
    assert settings_of(platform).fetch_max_bytes == DEFAULT


@pytest.mark.parametrize("readers", [1, 8])
def test_kafka_python_fetches_no_more(kafka: str, topic: str, readers: int) -> None:
    limit = 2 * 1024 * 1024 // readers
    platform = platform_of(kafka, fetch_max_bytes=2 * 1024 * 1024).shared_by(readers)

    with platform.consumer(Subscription(topic=topic)) as consumer:
        read, most = 0, 0
        while read < COUNT:
            read += len(consumer.poll(1.0, 1))
            fetcher = consumer._client._fetcher  # type: ignore[attr-defined]  # kafka-python's, of our consumer
            most = max(
                most, sum(len(fetch.partition_data.records or b"") for fetch in fetcher._completed_fetches)
            )

    assert 0 < most <= limit + BATCH


@pytest.mark.parametrize("readers", [1, 8])
def test_librdkafka_fetches_no_more(kafka: str, topic: str, readers: int) -> None:
    limit = 2 * 1024 * 1024 // readers
    platform = platform_of(kafka, client="librdkafka", fetch_max_bytes=2 * 1024 * 1024).shared_by(readers)
    fetched: list[int] = []

    def note(statistics: str) -> None:
        partitions = json.loads(statistics)["topics"].get(topic, {}).get("partitions", {})
        fetched.append(max((one["fetchq_size"] for one in partitions.values()), default=0))

    client = ConfluentConsumer(
        {
            **consumer_options(settings_of(platform), Subscription(topic=topic), 10.0),
            "auto.offset.reset": "earliest",
            "statistics.interval.ms": 50,
            "stats_cb": note,
        }
    )
    try:
        client.subscribe([topic])
        read = 0
        while read < COUNT:  # it tells in the order in which it fetched; the pauses let its queue fill up
            message = client.poll(1.0)
            if message is not None and message.error() is None:
                read += 1
                if read % 100 == 1:
                    time.sleep(0.3)
    finally:
        client.close()

    assert limit // 4 <= max(fetched) <= limit // 2 + BATCH
