"""The parts of kafka-python that we use and that are not public, and which of them have changed.

Each is what `interface.private`, `connections.connections` or `records` touches. docs/architecture.md has
the reasons.
"""

from __future__ import annotations

import importlib
import inspect
from types import CodeType
from typing import Any, NamedTuple

_MISSING = object()
_ATTRIBUTE, _CLASS, _PROPERTY = "attribute", "class", "property"
_COROUTINE, _FUNCTION = "coroutine", "function"
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Part(NamedTuple):
    """One part: where it is, and as what we know it."""

    at: str
    """`module:Class.name`."""
    kind: str
    """`attribute` is one that a class sets on its instances."""
    parameters: str = ""
    """Of a function: their names, with `=` behind each that has a default."""

    def change(self) -> str:
        """How it differs from what we know, for people; empty if it does not."""
        name = self.at.replace(":", ".")
        try:
            kind, parameters = _look_at(self.at)
        except (ImportError, AttributeError):
            return f"{name} is missing"
        if kind != self.kind:
            return f"{name} is no {self.kind}"
        return (
            f"{name} takes ({parameters}), not ({self.parameters})" if parameters != self.parameters else ""
        )


def changed_parts(parts: tuple[Part, ...] | None = None) -> list[str]:
    """What has changed in the kafka-python that is installed, by name, for people."""
    return [change for part in (PARTS if parts is None else parts) if (change := part.change())]


def _look_at(at: str) -> tuple[str, str]:
    """Kind and parameters. Raises ImportError, AttributeError."""
    module, _, path = at.partition(":")
    *outer, name = path.split(".")
    holder: Any = importlib.import_module(module)
    for each in outer:
        holder = getattr(holder, each)
    found = inspect.getattr_static(holder, name, _MISSING)
    if isinstance(found, property):
        return _PROPERTY, ""
    if isinstance(found, type):
        return _CLASS, ""
    if callable(found):
        return _COROUTINE if inspect.iscoroutinefunction(found) else _FUNCTION, _parameters(found)
    if not _is_set_by(holder, name):
        raise AttributeError(name)
    return _ATTRIBUTE, ""


def _parameters(function: Any) -> str:
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(
        f"{each.name}{'' if each.default is each.empty else '='}"
        if each.kind in _BY_NAME
        else str(each).partition(":")[0]
        for each in parameters
    )


def _is_set_by(holder: Any, name: str) -> bool:
    """Whether the code of a class names this attribute as it makes an instance. None need be made to know."""
    codes = [getattr(getattr(each, "__init__", None), "__code__", None) for each in inspect.getmro(holder)]
    return any(isinstance(code, CodeType) and name in code.co_names for code in codes)


def _parts(kind: str, holder: str, *names: str) -> list[Part]:
    """Parts of one class or module: each name with its parameters in brackets, if it has any."""
    split = [name.rstrip(")").partition("(") for name in names]
    joint = "." if ":" in holder else ":"
    return [Part(f"{holder}{joint}{name}", kind, parameters) for name, _, parameters in split]


_CLUSTER = "kafka.cluster:ClusterMetadata"
_CONNECTION = "kafka.net.connection:KafkaConnection"
_CONSUMER = "kafka.consumer.group:KafkaConsumer"
_COORDINATOR = "kafka.coordinator.consumer:ConsumerCoordinator"
_FETCHER = "kafka.consumer.fetcher:Fetcher"
_MANAGER = "kafka.net.manager:KafkaConnectionManager"
_MEMORY = "kafka.record.memory_records"
_PRODUCER = "kafka.producer.kafka:KafkaProducer"
_RECORDS = f"{_FETCHER}.PartitionRecords"
_SELECTOR = "kafka.net.selector:NetworkSelector"
_STATE = "kafka.consumer.subscription_state:TopicPartitionState"
_TRANSPORTS = "kafka.net.transport"

PARTS: tuple[Part, ...] = (
    *_parts(
        _ATTRIBUTE, _CONSUMER,
        "_client", "_cluster", "_coordinator", "_fetcher", "_manager", "_net", "_subscription",
    ),
    *_parts(_ATTRIBUTE, _PRODUCER, "_closed", "_metadata", "_sender"),
    *_parts(_FUNCTION, _PRODUCER, "_unregister_cleanup(self)"),
    *_parts(_FUNCTION, "kafka.producer.sender:Sender", "force_close(self)"),
    *_parts(_CLASS, "kafka.producer.record_accumulator", "MemoryRecords", "MemoryRecordsBuilder"),
    *_parts(_FUNCTION, f"{_MEMORY}:MemoryRecordsBuilder", "append(self, timestamp, key, value, headers=)"),
    *_parts(
        _FUNCTION, f"{_MEMORY}:MemoryRecords",
        "__init__(self, bytes_data)", "has_next(self)", "size_in_bytes(self)",
    ),
    *_parts(_ATTRIBUTE, f"{_MEMORY}:MemoryRecords", "_buffer", "_next_slice"),
    *_parts(_FUNCTION, "kafka.record.util", "calc_crc32c(memview, _crc32c=)", "decode_varint(buffer, pos=)"),
    *_parts(_CLASS, _FETCHER, "PartitionRecords"),
    *_parts(_ATTRIBUTE, _FETCHER, "_next_partition_records", "_subscriptions"),
    *_parts(_FUNCTION, _FETCHER, "_parse_fetched_data(self, completed_fetch)"),
    *_parts(
        _FUNCTION, _RECORDS,
        "__init__(self, fetch_offset, tp, records, key_deserializer=, value_deserializer=, check_crcs=, "
        "isolation_level=, aborted_transactions=, metric_aggregator=, on_drain=)",
        "take(self, n=)", "drain(self)", "_is_batch_aborted(self, batch)",
        "_unpack_records(self, tp, records, key_deserializer, value_deserializer)",
        "_consume_aborted_transactions_up_to(self, offset)",
    ),
    *_parts(
        _ATTRIBUTE, _RECORDS,
        "aborted_producer_ids", "bytes_read", "isolation_level", "leader_epoch", "next_fetch_offset",
        "topic_partition",
    ),
    *_parts(_ATTRIBUTE, _CLUSTER, "_future", "config", "unauthorized_topics"),
    *_parts(_PROPERTY, _CLUSTER, "need_update"),
    *_parts(
        _FUNCTION, _CLUSTER,
        "add_topic(self, topic)", "bootstrap_brokers(self)", "broker_metadata(self, broker_id)",
        "brokers(self)", "leader_for_partition(self, partition)", "partitions_for_topic(self, topic)",
        "request_update(self)", "start_refresh_loop(self)", "topic_id(self, topic_name)",
    ),
    *_parts(_COROUTINE, _CLUSTER, "refresh_metadata(self, node_id=)"),
    *_parts(_ATTRIBUTE, _COORDINATOR, "coordinator_id", "rejoining"),
    *_parts(_FUNCTION, _COORDINATOR, "need_rejoin(self)", "request_rejoin(self)"),
    *_parts(_ATTRIBUTE, "kafka.consumer.subscription_state:SubscriptionState", "assignment"),
    *_parts(_ATTRIBUTE, _STATE, "_position", "highwater"),
    *_parts(_PROPERTY, _STATE, "position"),
    *_parts(_FUNCTION, _STATE, "seek(self, offset)"),
    *_parts(
        _FUNCTION, "kafka.net.compat:KafkaNetClient",
        "__init__(self, net=, manager=, **configs)", "connected(self, node_id)",
    ),
    *_parts(
        _FUNCTION, _SELECTOR,
        "__init__(self, **configs)", "call_at(self, when, task)", "cancel(self, task)",
        "run(self, coro, *args)",
    ),
    *_parts(
        _COROUTINE, "kafka.net.inet",
        "create_connection(net, host, port, socket_options=, proxy_url=, timeout_at=)",
    ),
    *_parts(
        _FUNCTION, _MANAGER,
        "__init__(self, net, **configs)", "call_soon(self, coro, *args)",
        "get_connection(self, node_id, timeout_ms=, pop_on_close=, refresh_metadata_on_err=, "
        "reset_backoff_on_connect=)",
        "reset_backoff(self, node_id)", "update_backoff(self, node_id)",
    ),
    *_parts(
        _COROUTINE, _MANAGER,
        "_build_transport(self, node, timeout_at=)",
        "_connect(self, node, conn, reset_backoff_on_connect=, timeout_at=)", "_do_bootstrap(self, deadline)",
        "wait_for(self, future, timeout_ms)",
    ),
    *_parts(_ATTRIBUTE, _MANAGER, "_bootstrap_wakeup", "_conns", "_net", "cluster", "closed"),
    *_parts(_FUNCTION, _CONNECTION, "connection_made(self, transport)"),
    *_parts(_PROPERTY, _CONNECTION, "close_future", "init_future"),
    *_parts(_FUNCTION, f"{_TRANSPORTS}:KafkaTCPTransport", "__init__(self, net, sock, host=)"),
    *_parts(_ATTRIBUTE, f"{_TRANSPORTS}:KafkaTCPTransport", "_sock"),
    *_parts(_FUNCTION, f"{_TRANSPORTS}:KafkaSSLTransport", "__init__(self, net, sock, host=, **configs)"),
    *_parts(_COROUTINE, f"{_TRANSPORTS}:KafkaSSLTransport", "handshake(self)"),
)  # fmt: skip
