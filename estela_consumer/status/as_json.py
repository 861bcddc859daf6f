"""The status for machines."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from estela_consumer.status.model import Status
from estela_consumer.status.sentence import sentence


def as_json(status: Status) -> dict[str, Any]:
    """Everything as one JSON object; what is not known is null. All text is data."""
    found = sentence(status)
    return {"sentence": found.text, "level": found.level.value, "more": list(found.more), **_plain(status)}


def _plain(value: Any) -> Any:
    """What JSON has a word for."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        named = getattr(value, "_asdict", None)
        return _plain(named()) if named else [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return value.value if isinstance(value, enum.Enum) else value
