"""What is at which path."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from estela_consumer.monitoring.health import stalled, unready
from estela_consumer.monitoring.observation import Observation
from estela_pages.response import Response, plain


class Pages:
    """The pages, each made of what is observed at the moment it is called. To be called on one thread."""

    def __init__(
        self,
        observe: Callable[[], Observation],
        metrics: Callable[[], bytes],
        metrics_type: str,
        status: Callable[[Observation], dict[str, object]],
        page: Callable[[], Response],
    ) -> None:
        self._observe = observe
        self._metrics = metrics
        self._metrics_type = metrics_type
        self._status = status
        self.by_path: dict[str, Callable[[], Response]] = {
            "/": page,
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics_page,
            "/status.json": self._status_page,
        }

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
