"""What a topic may be called."""

from __future__ import annotations

import re

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # what Kafka takes


def is_topic(name: str) -> bool:
    """Whether a topic can have that name."""
    return _TOPIC.fullmatch(name) is not None and name not in (".", "..")
