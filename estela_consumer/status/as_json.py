"""The status for machines."""

from __future__ import annotations

import enum
from dataclasses import asdict
from typing import Any

from estela_consumer.status.model import Status
from estela_consumer.status.sentence import sentence


def as_json(status: Status) -> dict[str, Any]:
    """Everything as one JSON object; what is not known is null. All text is data."""
    found = sentence(status)
    return {
        "sentence": found.text,
        "level": found.level.value,
        "more": list(found.more),
        **asdict(status, dict_factory=_object),
    }


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.value if isinstance(value, enum.Enum) else value for name, value in pairs}
