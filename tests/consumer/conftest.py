"""Where the consumer's tests run: without servers, and on real Kafka and real MongoDB."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def on_servers(workdir: Path, kafka: str, mongodb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that points at real Kafka and real MongoDB."""
    monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
    monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", kafka)
    monkeypatch.setenv("DB_CONNECTION", mongodb)


@pytest.fixture(params=["embedded", "servers"])
def surroundings(request: pytest.FixtureRequest, workdir: Path) -> None:
    """Each test that uses it runs twice: on the embedded parts, and on the servers."""
    if request.param == "servers":
        request.getfixturevalue("on_servers")
