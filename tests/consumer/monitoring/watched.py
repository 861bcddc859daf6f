"""A consumer's observer, and a server in front of it, without a consumer."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator

from estela_consumer.monitoring.monitor import Monitor
from estela_consumer.monitoring.observation import Observer
from estela_consumer.monitoring.settings import MonitoringSettings
from estela_consumer.pipeline.progress import Progress
from estela_consumer.retry import RetryPolicy
from estela_pages.address import ListenAddress


class Watched:
    """What a service would tell the monitoring, told by a test."""

    def __init__(self, *topics: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress = Progress(topics or ("t",), clock, detailed=True)
        self.retry = RetryPolicy(clock=clock)
        groups = {topic: f"group_{topic}" for topic in self.progress.activities}
        self.observer = Observer(self.progress, self.retry.outages, groups)

    @contextlib.contextmanager
    def served(self, listen: str = "127.0.0.1:0", names: str = "") -> Iterator[str]:
        """The HOST:PORT where it answers."""
        monitor = Monitor(MonitoringSettings(address=ListenAddress.parse(listen, names)), self.observer)
        monitor.start()
        try:
            yield monitor.url.removeprefix("http://")
        finally:
            monitor.close()


def get(at: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
    """Status, body and headers."""
    connection = http.client.HTTPConnection(at, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers
    finally:
        connection.close()
