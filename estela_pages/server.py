"""The server: one thread, however many connections there are."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus

import h11

from estela_pages.address import ListenAddress, ListenError
from estela_pages.response import Response, plain

_CONNECTIONS = 100  # at a time; a process may open a thousand files, and needs them for its work
_TIMEOUT = 5.0  # seconds from the connection until its answer is taken
_REQUEST_BYTES = 16 * 1024  # of the first line and the headers
_PATH_CHARACTERS = 1_024
_UNREAD_BYTES = 64 * 1024  # of a body that nobody wants, that are taken so that its sender reads our answer
_CLOSE_TIMEOUT = 1.0  # seconds
_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
)
_REASONS = {
    errno.EADDRINUSE: "another process listens there; choose another port, or end that process",
    errno.EADDRNOTAVAIL: "this machine has no such address; 127.0.0.1 is its own, 0.0.0.0 is all it has",
    errno.EACCES: "this user may not listen there; choose a port of 1024 or more",
}

logger = logging.getLogger(__name__)


def bind(address: ListenAddress) -> socket.socket:
    """A socket that listens there. Raises ListenError, which says why not."""
    try:
        if not address.host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", address.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_CONNECTIONS
            )
        [(family, _, _, _, there), *_] = socket.getaddrinfo(
            address.host or "0.0.0.0",
            address.port,
            type=socket.SOCK_STREAM,
        )
        return socket.create_server(there[:2], family=family, backlog=_CONNECTIONS)
    except socket.gaierror as error:
        why = f"the host's name cannot be resolved ({error.strerror})"
    except (OSError, UnicodeError) as error:
        why = _REASONS.get(getattr(error, "errno", 0), getattr(error, "strerror", None) or str(error))
    raise ListenError(f"--listen {address}: {why}")


class PageServer:
    """Answers one request of each connection with the page of its path, from `start` to `close`.

    GET and HEAD only, and only if the request calls us by an address or a name of ours. A connection that is
    slow is closed after five seconds; if there are too many, the oldest one is. Any other path than those of
    `pages` is answered with 404 and their list. The pages are called on the server's thread, one at a time:
    a page must not wait for anybody. What it raises is logged, and answered with 500.
    """

    def __init__(
        self, listener: socket.socket, address: ListenAddress, pages: Mapping[str, Callable[[], Response]]
    ) -> None:
        self._listener = listener
        self._address = address
        self._pages = dict(pages)
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}  # the oldest first
        self._loop: asyncio.AbstractEventLoop | None = None  # while it runs
        self._closing = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="estela-pages", daemon=True
        )
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        """Where it is, for people."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Begin to answer. Call it once."""
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """Answer no more. Blocks for a second at most; twice is fine."""
        if loop := self._loop:
            with contextlib.suppress(RuntimeError):  # it is closed meanwhile
                loop.call_soon_threadsafe(self._closing.set)
        if self._thread.ident is not None:  # it was started
            self._thread.join(_CLOSE_TIMEOUT)
        self._listener.close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        server = await asyncio.start_server(self._connected, sock=self._listener, limit=_REQUEST_BYTES)
        await self._closing.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        if len(self._connections) > _CONNECTIONS:
            oldest = next(iter(self._connections))
            self._connections.pop(oldest).transport.abort()
            oldest.cancel()
        try:
            await asyncio.wait_for(self._exchange(reader, writer), _TIMEOUT)
        except (asyncio.TimeoutError, asyncio.CancelledError, OSError):
            writer.transport.abort()
        finally:
            self._connections.pop(task, None)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_REQUEST_BYTES)
        request = None
        try:
            request = await _request(connection, reader)
            if request is None:
                return
            response = self._response_to(request)
        except h11.RemoteProtocolError as error:
            response = plain(error.error_status_hint, f"This is no request that can be answered: {error}")
        writer.write(_head(connection, response))
        if request is None or request.method != b"HEAD":
            writer.write(response.body)
        await writer.drain()
        writer.write_eof()
        unread = 0
        while unread < _UNREAD_BYTES and (data := await reader.read(_UNREAD_BYTES)):
            unread += len(data)

    def _response_to(self, request: h11.Request) -> Response:
        if request.method not in (b"GET", b"HEAD"):
            return plain(405, "Nothing can be changed here: GET and HEAD only.", ("Allow", "GET, HEAD"))
        hosts = [value.decode("ascii", "replace") for name, value in request.headers if name == b"host"]
        if not all(map(self._address.may_be_called, hosts)):  # HTTP/1.0 may come without; no browser does
            return plain(421, "This server is not called so. Use its address, or name it in --listen-names.")
        path = request.target.decode("ascii", "replace").partition("?")[0]
        if len(path) > _PATH_CHARACTERS:
            return plain(414, "No path here is so long.")
        page = self._pages.get(path)
        if page is None:
            return plain(404, f"Not found. There are: {' '.join(self._pages)}")
        try:
            return page()
        except Exception:
            logger.exception(
                "The page %s has a fault. Nothing else is touched by it. Please report this:", path
            )
            return plain(500, "This page has a fault. The log says more.")


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The request, without its body; None if none came. Raises RemoteProtocolError."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        connection.receive_data(await reader.read(_REQUEST_BYTES))


def _head(connection: h11.Connection, response: Response) -> bytes:
    own = {name for name, _ in response.headers}
    headers = [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        *(header for header in _HEADERS if header[0] not in own),
        *response.headers,
    ]
    start = h11.Response(
        status_code=response.status, reason=HTTPStatus(response.status).phrase, headers=headers
    )
    return connection.send(start) or b""
