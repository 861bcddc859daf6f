"""A client's connections: how they are read, found at first, and what is remembered of those that failed."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable
from typing import Any

from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from estela_queue_adapter.errors import AccessDenied
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers, address
from estela_queue_adapter.platforms.kafka.connections.failures import LOGINS, failure

_READ_BYTES = 256 * 1024  # of a connection at once, at most
_FIRST_READ_BYTES = 8 * 1024  # which answers to questions seldom fill, and most connections are for these
_FIRST_BYTES = 16  # enough to tell who answers
_NEXT_LISTENER = 0.5  # seconds that a listener is waited for before the next is asked too
_METADATA_TIMEOUT_MS = 2_500  # half of what a client has to connect: the next listener may be well
_HANDSHAKE_TIMEOUT = 10.0  # seconds


class _LargeReadSocket:
    """A socket that is read in large pieces, and to its end.

    kafka-python asks for 4 KiB at a time, and each time has to wait for the interpreter's lock: while another
    thread works, that is 4 KiB in 5 ms, and a reader that decodes what it has gets nothing more meanwhile.
    And if a broker hangs up, it forgets what came just before: that a password is wrong, say.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._unread = False
        # One for all: large pieces leave holes in the heap.
        self._buffer = memoryview(bytearray(_FIRST_READ_BYTES))
        self.first = b""
        self.on_answer: Callable[[], None] | None = None

    def recv(self, size: int) -> bytes:
        data = bytes(self._buffer[: self._sock.recv_into(self._buffer)])
        if len(data) == len(self._buffer) < _READ_BYTES:
            self._buffer = memoryview(bytearray(4 * len(data)))
        if self._unread and not data:
            self._unread = False
            raise BlockingIOError  # the end comes again; what came before it is looked at first
        self._unread = bool(data)
        self.first = self.first or data[:_FIRST_BYTES]
        if data and self.on_answer is not None:
            on_answer, self.on_answer = self.on_answer, None
            on_answer()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Connections(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types
    """A client's connections, on such sockets; what each address answers is noted in `brokers`."""

    def __init__(self, net: Any, brokers: Brokers, **config: Any) -> None:
        self._brokers = brokers
        super().__init__(net, **config)

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        """A transport on a socket of ours; kafka-python's waits for a TLS handshake without an end."""
        sock = await create_connection(
            self._net,
            node.host,
            node.port,
            self.config["socket_options"],
            proxy_url=self.config["proxy_url"],
            timeout_at=timeout_at,
        )
        if not self.ssl_enabled:
            return KafkaTCPTransport(self._net, _LargeReadSocket(sock), host=node.host)
        options = {name: value for name, value in self.config.items() if name.startswith("ssl_")}
        transport = KafkaSSLTransport(self._net, sock, host=node.host, **options)
        await self._shake_hands(transport, timeout_at or time.monotonic() + _HANDSHAKE_TIMEOUT)
        transport._sock = _LargeReadSocket(transport._sock)
        return transport

    async def _shake_hands(self, transport: Any, timeout_at: float) -> None:
        def give_up() -> None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(transport._sock, socket.SHUT_RDWR)

        timer = self._net.call_at(timeout_at, give_up)
        try:
            await transport.handshake()
        except Exception as error:
            transport.close()
            if time.monotonic() >= timeout_at:
                raise kafka_errors.KafkaTimeoutError("TLS handshake") from None
            raise kafka_errors.KafkaConnectionError(f"Handshake failed: {error}") from error
        finally:
            self._net.cancel(timer)

    async def _connect(self, node: Any, conn: Any, *args: Any, **options: Any) -> None:
        at, sockets = address(node.host, node.port), list[_LargeReadSocket]()
        made = conn.connection_made

        def connection_made(transport: Any) -> None:
            sockets.append(transport._sock)
            made(transport)

        conn.connection_made = connection_made
        await super()._connect(node, conn, *args, **options)
        sock = sockets[0] if sockets else None
        if conn.init_future.failed():
            error = conn.init_future.exception
            self._brokers.failed(at, failure(error, sock.first if sock else b""))
        elif conn.init_future.is_done and sock is not None:
            self._watch(at, conn, sock)

    def _watch(self, at: str, conn: Any, sock: _LargeReadSocket) -> None:
        """Note that a broker answers requests, or does not, though a connection can be made."""
        sock.on_answer = lambda: self._brokers.answered(at)

        def lost(error: BaseException) -> None:
            if sock.on_answer is not None or isinstance(error, kafka_errors.RequestTimedOutError):
                self._brokers.failed(at, failure(error, b""))

        conn.close_future.add_errback(lost)

    async def _do_bootstrap(self, deadline: float | None) -> bool:
        """Ask the listeners, in any order, until one has answered.

        The next one is asked when the one before has failed or is silent for a moment: kafka-python waits for
        one that hangs until the time is up, with others beside it that are well.
        """
        waiting: list[Any] = []
        asked: list[Any] = []
        try:
            while not self.closed and (deadline is None or time.monotonic() < deadline):
                if not waiting and not asked:
                    waiting = random.sample(nodes := self.cluster.bootstrap_brokers(), len(nodes))
                if waiting:
                    self._ask(waiting.pop(), asked, deadline)
                await self._bootstrap_wakeup(_NEXT_LISTENER)
                for conn in [conn for conn in asked if conn.init_future.is_done]:
                    asked.remove(conn)
                    if await self._is_answered(conn):
                        return True
        finally:
            for conn in asked:
                self._note_silence(conn)
                self._hang_up(conn)
        raise kafka_errors.KafkaTimeoutError(f"Unable to bootstrap from {self._brokers}")

    def _ask(self, node: Any, asked: list[Any], deadline: float | None) -> None:
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        try:
            conn = self.get_connection(
                node.node_id,
                timeout_ms=remaining,
                pop_on_close=False,
                refresh_metadata_on_err=False,
                reset_backoff_on_connect=False,
            )
        except kafka_errors.NodeNotReadyError:
            return  # it failed a moment ago
        asked.append(conn)
        conn.init_future.add_both(lambda _: self._bootstrap_wakeup.notify())

    async def _is_answered(self, conn: Any) -> bool:
        """Whether the connection is there and brought the cluster's metadata."""
        try:
            await conn
            refreshed = self.call_soon(self.cluster.refresh_metadata, conn.node_id)
            await self.wait_for(refreshed, _METADATA_TIMEOUT_MS)
        except (kafka_errors.IncompatibleBrokerVersion, AccessDenied, *LOGINS):
            raise  # no other try would help, and some servers lock out who fails too often
        except Exception:  # noqa: BLE001  (noted where the connection was made)
            self.update_backoff(conn.node_id)
            return False
        finally:
            self._hang_up(conn)
        if not self.cluster.brokers():
            self.update_backoff(conn.node_id)
            return False
        self.reset_backoff(conn.node_id)
        self.cluster.start_refresh_loop()
        return True

    def _note_silence(self, conn: Any) -> None:
        node = self.cluster.broker_metadata(conn.node_id)
        self._brokers.failed(address(node.host, node.port), failure(kafka_errors.KafkaTimeoutError(), b""))

    def _hang_up(self, conn: Any) -> None:
        self._conns.pop(conn.node_id, conn).close()


def network(brokers: Brokers, attempts: list[Any]) -> Callable[..., Any]:
    """What makes the network client of one of kafka-python's clients; each made is added to `attempts`."""

    def make(**config: Any) -> Any:
        net = NetworkSelector(**config)
        attempts.append(KafkaNetClient(net, Connections(net, brokers, **config)))
        return attempts[-1]

    return make
