"""Making kafka-python's clients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

from estela_queue_adapter.collector import collect_failed_connections
from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.lifecycle import interpreter_ended
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.connections import Connections
from estela_queue_adapter.platforms.kafka.connections.logins import keep_out_of_logs
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_CONNECT_TIMEOUT_MS = 5_000

_METADATA_AGE_MS = 15_000  # after which partitions that were added are seen

T = TypeVar("T")


def ask_once_for_metadata(cluster: Any) -> None:
    """Have a producer's client ask for new metadata once, and not again while the answer is pending.

    Where a partition has no leader, as in an outage, kafka-python's loop asks at every turn, and to ask wakes
    it for the next: it takes a whole core then, and the interpreter's lock from every other thread.
    """
    ask = cluster.request_update

    def request_update() -> Any:
        pending = cluster._future
        return ask() if pending is None or pending.is_done or not cluster.need_update else pending

    cluster.request_update = request_update


def connect(kind: Callable[..., T], settings: KafkaSettings, brokers: Brokers, **options: Any) -> T:
    """A connected client of this kind, of kafka-python's; what it meets is noted in `brokers`.

    Raises our errors. Where no broker answers, kafka-python leaves the thread and the sockets of the attempt
    behind: they are closed here, as an outage may see many attempts.
    """
    attempts: list[Any] = []
    if settings.sasl_mechanism:
        keep_out_of_logs()

    def network(**config: Any) -> Any:
        net = NetworkSelector(**config)
        attempts.append(KafkaNetClient(net, Connections(net, brokers, **config)))
        return attempts[-1]

    if kind is not KafkaAdminClient:  # which has none, and says no to the option
        options["metrics_enabled"] = False
    if interpreter_ended():  # the client's thread would never run, and be waited for
        raise QueueUnreachable(f"Kafka at {brokers}: the interpreter is shutting down")
    try:
        with translated(brokers):
            return kind(
                **settings.client_options(),
                bootstrap_timeout_ms=_CONNECT_TIMEOUT_MS,
                metadata_max_age_ms=_METADATA_AGE_MS,
                kafka_client=network,
                **options,
            )
    except BaseException as error:
        for attempt in attempts:
            with contextlib.suppress(RuntimeError):  # its thread did not start
                attempt.close()
        collect_failed_connections()
        if isinstance(error, RuntimeError):  # no new threads any more, as the interpreter shuts down
            raise QueueUnreachable(f"Kafka at {brokers}: {error}") from error
        raise


def connect_reader(
    settings: KafkaSettings, brokers: Brokers, group_id: str | None, **options: Any
) -> KafkaConsumer:
    """A connected client that reads committed messages, commits nothing by itself and creates no topic."""
    options.setdefault("isolation_level", "read_committed")
    client = connect(
        KafkaConsumer,
        settings,
        brokers,
        group_id=group_id,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        **options,
    )
    # kafka-python 3.0 does not hand the option on: reading a topic would create it.
    client._cluster.config["allow_auto_create_topics"] = False
    return client
