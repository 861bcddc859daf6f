"""Serves the status of a group until it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import orjson

from estela_consumer.status.as_json import as_json
from estela_consumer.status.collector import StatusCollector
from estela_consumer.status.model import Status
from estela_consumer.status.page import StatusPage
from estela_pages.address import ListenAddress
from estela_pages.response import Response
from estela_pages.server import PageServer, bind

_INTERVAL = 5.0  # seconds between two looks


class StatusServer:
    """Looks every five seconds, on the thread that calls `run`, and serves what was seen last.

    Raises ListenError if it cannot listen there.
    """

    def __init__(self, collector: StatusCollector, address: ListenAddress) -> None:
        self._collector = collector
        self._page = StatusPage()
        self._latest = collector.initial()
        self._stopped = threading.Event()
        pages: dict[str, Callable[[], Response]] = {"/": self._html, "/status.json": self._json}
        self._server = PageServer(bind(address), address, pages)

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._server.url

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def run(self) -> None:
        """Block until `stop` is called."""
        self._server.start()
        try:
            while not self._stopped.is_set():
                self._latest = self._collector.collect()
                self._stopped.wait(_INTERVAL)
        finally:
            self._server.close()

    def stop(self) -> None:
        """Have `run` return when its present look is over. Safe to call from a signal handler."""
        self._stopped.set()

    def _html(self) -> Response:
        return self._page.response(self._latest)

    def _json(self) -> Response:
        return json_response(self._latest)


def json_response(status: Status) -> Response:
    """The status for machines."""
    body = orjson.dumps(as_json(status), option=orjson.OPT_NON_STR_KEYS)
    return Response(200, "application/json", body + b"\n")
