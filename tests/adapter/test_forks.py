"""A forked process waits for no lock that another thread of its parent held at the fork."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.iteration import Iteration
from estela_queue_adapter.platforms.kafka.connections.oauth import ClientCredentials
from estela_queue_adapter.platforms.kafka.kafka_python.producer_client import KafkaPythonProducer
from estela_queue_adapter.platforms.kafka.producer import IdempotentProducer
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.subscription import Subscription


@contextmanager
def held_by_another_thread(*locks: Any) -> Iterator[None]:
    """As at the moment of a fork; in the child that thread is not there to let go."""
    taken, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            taken.set()
            ended.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert taken.wait(60)
        yield
    finally:
        ended.set()
        thread.join()


def returns(work: Callable[[], object]) -> bool:
    """Whether it does, rather than waiting for a lock."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()


def test_a_producer() -> None:
    producer = IdempotentProducer(KafkaSettings(listeners="host"), KafkaPythonProducer)
    assert isinstance(producer._client, KafkaPythonProducer)

    with held_by_another_thread(
        producer._brokers._lock,
        producer._client._connecting,
        producer._deliveries._lock,
        producer._one_by_one,
    ):
        producer.forked()

        assert returns(lambda: producer._brokers.outage())
        assert returns(lambda: producer.flush(1.0))
        assert returns(lambda: producer.close(1.0))


@pytest.mark.parametrize("name", ["committing", "lock"])
def test_loops_over_a_consumer(name: str) -> None:
    iteration = Iteration(Subscription(topic="t"))
    lock = iteration.committing if name == "committing" else iteration._backlog.lock

    with held_by_another_thread(lock):
        iteration.forked()

        assert returns(lambda: iteration.close(lambda positions: None))


def test_the_tokens_of_a_login() -> None:
    credentials = ClientCredentials("SETTING", "http://localhost:1/token", "id", "secret")

    def ask() -> None:
        with pytest.raises(QueueUnreachable):
            credentials.token()

    with held_by_another_thread(credentials._lock):
        credentials.forked()

        assert returns(ask)
