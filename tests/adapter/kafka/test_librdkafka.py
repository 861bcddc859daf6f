"""librdkafka keeps the contract of a platform."""

from __future__ import annotations

from typing import Any

import pytest

from estela_queue_adapter import Platform, open_platform
from tests.adapter.kafka.test_kafka import KafkaContract


@pytest.fixture
def arguments(kafka: str) -> dict[str, Any]:
    return {"platform": "kafka", "listeners": kafka, "client": "librdkafka"}


@pytest.fixture
def platform(arguments: dict[str, Any]) -> Platform:
    return open_platform(**arguments)


class TestLibrdkafka(KafkaContract):
    pass
