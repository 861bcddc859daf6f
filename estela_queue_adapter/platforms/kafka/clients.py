"""Making kafka-python's clients."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from estela_queue_adapter.errors import QueueUnreachable
from estela_queue_adapter.lifecycle import interpreter_ended
from estela_queue_adapter.platforms.kafka.errors import LOGINS, translate, translated
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_CONNECT_TIMEOUT_MS = 5_000

_READ_BYTES = 256 * 1024  # of a connection at once

T = TypeVar("T")


class _Socket:
    """A socket that is read in large pieces, and to its end.

    kafka-python asks for 4 KiB at a time, and each time has to wait for the interpreter's lock: while another
    thread works, that is 4 KiB in 5 ms, and a reader that decodes what it has gets nothing more meanwhile.
    And where a broker hangs up, it forgets what came just before: that a password is wrong, say.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._unread = False
        self._buffer = memoryview(bytearray(_READ_BYTES))  # one for all: large pieces leave holes in the heap

    def recv(self, size: int) -> bytes:
        data = bytes(self._buffer[: self._sock.recv_into(self._buffer)])
        if self._unread and not data:
            self._unread = False
            raise BlockingIOError  # the end comes again; what came before it is looked at first
        self._unread = bool(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Connections(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types
    """A client's connections, on such sockets; it keeps why a login failed, which kafka-python only logs."""

    refused: BaseException | None = None

    async def _connect(self, node: Any, conn: Any, *args: Any, **options: Any) -> None:
        await super()._connect(node, conn, *args, **options)
        if conn.init_future.is_done and isinstance(conn.init_future.exception, LOGINS):
            self.refused = conn.init_future.exception

    async def _build_transport(self, *args: Any, **options: Any) -> Any:
        transport = await super()._build_transport(*args, **options)
        transport._sock = _Socket(transport._sock)
        return transport


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


def connect(kind: Callable[..., T], settings: KafkaSettings, **options: Any) -> T:
    """A connected client of this kind, of kafka-python's; raises our errors.

    Where no broker answers, kafka-python leaves the thread and the sockets of the attempt behind: they are
    closed here, as an outage may see many attempts.
    """
    attempts: list[Any] = []

    def network(**config: Any) -> Any:
        net = NetworkSelector(**config)
        attempts.append(KafkaNetClient(net, _Connections(net, **config)))
        return attempts[-1]

    if kind is not KafkaAdminClient:  # which has none, and says no to the option
        options["metrics_enabled"] = False
    where = ",".join(settings.bootstrap_servers)
    if interpreter_ended():  # the client's thread would never run, and be waited for
        raise QueueUnreachable(f"Kafka at {where}: the interpreter is shutting down")
    try:
        with translated(where):
            return kind(
                **settings.client_options(),
                bootstrap_timeout_ms=_CONNECT_TIMEOUT_MS,
                kafka_client=network,
                **options,
            )
    except BaseException as error:
        for attempt in attempts:
            with contextlib.suppress(RuntimeError):  # its thread did not start
                attempt.close()
        # Failed connections hang in cycles, and the collector may look rarely. They are young: to look at all
        # there is would stop a crawl's reactor.
        gc.collect(1)
        refused = attempts[-1]._manager.refused if attempts else None
        if refused is not None and isinstance(error, QueueUnreachable):
            raise translate(refused, where) from error
        if isinstance(error, RuntimeError):  # no new threads any more, as the interpreter shuts down
            raise QueueUnreachable(f"Kafka at {where}: {error}") from error
        raise


def connect_reader(settings: KafkaSettings, group_id: str | None, **options: Any) -> KafkaConsumer:
    """A connected client that reads committed messages, commits nothing by itself and creates no topic."""
    options.setdefault("isolation_level", "read_committed")
    client = connect(
        KafkaConsumer,
        settings,
        group_id=group_id,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        **options,
    )
    # kafka-python 3.0 does not hand the option on: reading a topic would create it.
    client._cluster.config["allow_auto_create_topics"] = False
    return client
