"""Making kafka-python's clients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer

from estela_queue_adapter.collector import collect_failed_connections
from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.lifecycle import interpreter_ended
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.logins import keep_out_of_logs
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_CONNECT_TIMEOUT_MS = 5_000

_METADATA_AGE_MS = 15_000  # after which partitions that were added are seen

T = TypeVar("T")


def connect(kind: Callable[..., T], settings: KafkaSettings, brokers: Brokers, **options: Any) -> T:
    """A connected client of this kind, of kafka-python's; what it meets is noted in `brokers`.

    Raises our errors. Where no broker answers, kafka-python leaves the thread and the sockets of the attempt
    behind: they are closed here, as an outage may see many attempts.
    """
    attempts: list[Any] = []
    if settings.sasl_mechanism:
        keep_out_of_logs()

    if kind is not KafkaAdminClient:  # which has none, and says no to the option
        options["metrics_enabled"] = False
    if interpreter_ended():  # the client's thread would never run, and be waited for
        raise QueueUnreachable(f"Kafka at {brokers}: the interpreter is shutting down")
    try:
        interface_for(settings).look_for_brokers(settings.bootstrap_servers, brokers)
        with translated(brokers):
            return kind(
                **settings.client_options(),
                bootstrap_timeout_ms=_CONNECT_TIMEOUT_MS,
                metadata_max_age_ms=_METADATA_AGE_MS,
                **interface_for(settings).network(brokers, attempts),
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
    interface_for(settings).prepare_reader(client)
    return client
