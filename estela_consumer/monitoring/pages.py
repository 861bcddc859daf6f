"""What is at which path."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import orjson

from estela_consumer.monitoring.health import stalled, unready
from estela_consumer.monitoring.observation import Observation

_TEXT = "text/plain; charset=utf-8"


class Response(NamedTuple):
    """What a request is answered with."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Others than those that every response has."""


def plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """A response of lines for people."""
    return Response(status, _TEXT, f"{text}\n".encode(errors="backslashreplace"), headers)


class Pages:
    """Answers each path by what is observed at that moment. To be called on one thread."""

    def __init__(
        self,
        observe: Callable[[], Observation],
        metrics: Callable[[], bytes],
        metrics_type: str,
        status: Callable[[Observation], dict[str, object]],
    ) -> None:
        self._observe = observe
        self._metrics = metrics
        self._metrics_type = metrics_type
        self._status = status
        self._paths = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics_page,
            "/status.json": self._status_page,
        }

    def answer(self, path: str) -> Response:
        """The page, or 404 with the list of those that there are."""
        page = self._paths.get(path)
        return page() if page else plain(404, f"Not found. There are: {' '.join(self._paths)}")

    def _livez(self) -> Response:
        return _verdict(stalled(self._observe()))

    def _readyz(self) -> Response:
        return _verdict(unready(self._observe()))

    def _metrics_page(self) -> Response:
        return Response(200, self._metrics_type, self._metrics())

    def _status_page(self) -> Response:
        body = orjson.dumps(self._status(self._observe()), option=orjson.OPT_NON_STR_KEYS)
        return Response(200, "application/json", body + b"\n")


def _verdict(reasons: list[str]) -> Response:
    return plain(503, "\n".join(reasons)) if reasons else plain(200, "ok")
