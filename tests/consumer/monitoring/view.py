"""A consumer beside the test, as its monitoring shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from devservers.ports import free_port
from tests.consumer.background import Background, background
from tests.consumer.monitoring.watched import get


class Seen:
    """A consumer beside the test, as its monitoring shows it."""

    def __init__(self, at: str, consumer: Background) -> None:
        self.at = at
        self.consumer = consumer

    def code(self, path: str) -> int:
        """What a probe gets; 0 if nobody answers."""
        try:
            return get(self.at, path)[0]
        except OSError:
            return 0

    def is_ready(self) -> bool:
        return self.code("/readyz") == 200

    def metric(self, name: str, **labels: str) -> float | None:
        """The sum over all that have these labels; None if there is none, or nobody answers."""
        try:
            page = get(self.at, "/metrics")[1]
        except OSError:
            return None
        found = [
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == f"estela_consumer_{name}" and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None


@contextlib.contextmanager
def seen(topic: str, folder: Path, *options: str) -> Iterator[Seen]:
    """With its log at `folder / "log"`."""
    folder.mkdir(exist_ok=True)
    at = f"127.0.0.1:{free_port()}"
    with background(topic, folder / "log", "--listen", at, *options, drain=False) as consumer:
        yield Seen(at, consumer)
