"""Kafka where no broker answers."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from estela_queue_adapter import (
    Subscription,
    get_consumer_interface,
    get_producer_interface,
    open_platform,
)
from estela_queue_adapter.errors import DeliveryError, QueueUnreachable
from tests.adapter.contract import take
from tests.services.kafka import KafkaCluster
from tests.services.ports import wait_until


class TestWithoutABroker:
    def test_attempts_in_vain_leave_no_threads_behind(self) -> None:
        platform = open_platform("kafka", listeners="127.0.0.1:1")
        before = set(threading.enumerate())

        for client in (platform.consumer(Subscription(topic="topic")), platform.producer()):
            assert not client.get_connection()

        wait_until(lambda: before.issuperset(threading.enumerate()), "the end of the threads", 10)

    def test_everything_says_so_in_time_and_nothing_hangs(self) -> None:
        nowhere: dict[str, Any] = {"platform": "kafka", "listeners": "127.0.0.1:1"}
        began = time.monotonic()
        producer = get_producer_interface(**nowhere)
        consumer = get_consumer_interface(topic="topic", **nowhere)

        with pytest.raises(QueueUnreachable, match=r"127\.0\.0\.1:1"):
            producer.send("topic", 1)
        with pytest.raises(QueueUnreachable):
            consumer.poll(0.1, 1)
        assert consumer.get_connection() is False
        producer.close()
        consumer.close()

        assert time.monotonic() - began < 25

    def test_messages_sent_while_the_broker_is_gone_arrive_when_it_is_back(self, tmp_path: Path) -> None:
        cluster = KafkaCluster(tmp_path)
        cluster.start()
        try:
            producer = get_producer_interface("kafka", listeners=cluster.bootstrap_servers)
            producer.send("topic", 0)
            producer.flush()
            cluster.brokers[0].kill()

            for number in range(1, 100):
                producer.send("topic", number)
            with pytest.raises(DeliveryError) as caught:
                producer.flush(timeout=0.5)
            assert caught.value.undelivered == 99
            cluster.brokers[0].start()
            producer.flush(timeout=60)
            producer.close()

            with get_consumer_interface(
                "kafka", listeners=cluster.bootstrap_servers, topic="topic"
            ) as consumer:
                assert sorted(message.value for message in take(consumer, 100)) == list(range(100))
        finally:
            cluster.stop()
