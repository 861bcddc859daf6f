"""What a topic may be called."""

from __future__ import annotations

import re

MAX_LENGTH = 249  # characters that Kafka takes
_TOPIC = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_LENGTH}}}")


def is_topic(name: str) -> bool:
    """Whether a topic can have that name."""
    return _TOPIC.fullmatch(name) is not None and name not in (".", "..")
