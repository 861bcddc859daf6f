"""Kafka where no broker answers."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from devservers.kafka import KafkaCluster
from devservers.ports import wait_until
from estela_queue_adapter import (
    Subscription,
    get_consumer_interface,
    get_producer_interface,
    open_platform,
)
from estela_queue_adapter.errors import DeliveryError, QueueUnreachable
from tests.adapter.contract import take

pytestmark = pytest.mark.processes

# Ends with ten messages in flight that no broker will take, and closes nothing.
UNCLOSED = """
import atexit
from estela_queue_adapter import get_consumer_interface, get_producer_interface, lifecycle

lifecycle._END_TIMEOUT = 2.0
producer = get_producer_interface("kafka", listeners={listeners!r}, client={client!r})
consumer = get_consumer_interface("kafka", listeners={listeners!r}, topic="other", client={client!r})
producer.send("other", 0)
producer.flush()
loop = iter(consumer)
next(loop)
atexit.register(producer.send, "other", 10)
print("connected", flush=True)
input()
for number in range(1, 10):
    producer.send("other", number)
"""


@pytest.fixture(params=["kafka-python", "librdkafka"])
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class TestWithoutABroker:
    def test_attempts_in_vain_leave_no_threads_behind(
        self, client: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        platform = open_platform("kafka", listeners="127.0.0.1:1", client=client)
        before = set(threading.enumerate())

        assert platform.consumer(Subscription(topic="topic")).get_connection() is False
        assert platform.producer().get_connection() is True  # each `send` tries again

        assert "Queue unavailable: Kafka at 127.0.0.1:1" in caplog.text
        wait_until(lambda: before.issuperset(threading.enumerate()), "the end of the threads")

    def test_everything_says_so_in_time_and_nothing_hangs(self, client: str) -> None:
        nowhere: dict[str, Any] = {"platform": "kafka", "listeners": "127.0.0.1:1", "client": client}
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

        assert time.monotonic() - began < 50

    @pytest.mark.servers
    def test_messages_sent_while_the_broker_is_gone_arrive_when_it_is_back(
        self, client: str, tmp_path: Path
    ) -> None:
        cluster = KafkaCluster(tmp_path)
        cluster.start()
        try:
            producer = get_producer_interface("kafka", listeners=cluster.bootstrap_servers, client=client)
            producer.send("topic", 0)
            producer.flush()
            unclosed = subprocess.Popen(
                [sys.executable, "-c", UNCLOSED.format(listeners=cluster.bootstrap_servers, client=client)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert unclosed.stdout is not None
            assert unclosed.stdout.readline() == "connected\n"
            cluster.brokers[0].kill()

            _, told = unclosed.communicate("go on\n", timeout=60)
            assert unclosed.returncode == 0
            assert "10 message(s) not acknowledged" in told
            for number in range(1, 100):
                producer.send("topic", number)
            with pytest.raises(DeliveryError) as caught:
                producer.flush(timeout=0.5)
            assert caught.value.undelivered == 99
            cluster.brokers[0].start()
            producer.flush(timeout=60)
            producer.close()

            with get_consumer_interface(
                "kafka", listeners=cluster.bootstrap_servers, topic="topic", client=client
            ) as consumer:
                assert sorted(message.value for message in take(consumer, 100)) == list(range(100))
        finally:
            cluster.stop()
