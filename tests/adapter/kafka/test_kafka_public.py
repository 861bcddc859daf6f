"""kafka-python by its public interface alone keeps the contract of a platform."""

from __future__ import annotations

from typing import Any, ClassVar

import kafka
import pytest

from estela_queue_adapter import Platform, open_platform
from estela_queue_adapter.messages import Headers
from tests.adapter.contract import PlatformContract


@pytest.fixture
def arguments(kafka: str) -> dict[str, Any]:
    return {"platform": "kafka", "listeners": kafka, "public_interface": True}


@pytest.fixture
def platform(arguments: dict[str, Any]) -> Platform:
    return open_platform(**arguments)


class TestPublicInterface(PlatformContract):
    notices: ClassVar = [
        f"kafka-python {kafka.__version__} is used by its public interface alone, which is slower and "
        "knows less of outages: QUEUE_PLATFORM_PUBLIC_INTERFACE is set. Unset it when you have seen enough."
    ]

    def travelled(self, headers: Headers) -> list[tuple[str, bytes | None]]:
        """A missing value comes as an empty one, and what is not UTF-8 in a name as escapes."""
        return [
            (name.encode(errors="surrogateescape").decode(errors="backslashreplace"), value or b"")
            for name, value in headers
        ]
