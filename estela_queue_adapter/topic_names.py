"""What a topic may be called."""

from __future__ import annotations

import functools
import re

from estela_queue_adapter.errors import ConfigurationError

MAX_LENGTH = 249  # characters that Kafka takes
_TOPIC = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_LENGTH}}}")


@functools.lru_cache(maxsize=1024)
def is_topic(name: str) -> bool:
    """Whether a topic can have that name."""
    return _TOPIC.fullmatch(name) is not None and name not in (".", "..")


def checked_topic(topic: str) -> str:
    """The topic itself; raises ConfigurationError for what is no name of a topic, on every platform alike."""
    if isinstance(topic, str) and is_topic(topic):
        return topic
    shown = f"{topic!r:.300}" if isinstance(topic, str) else f"a value of type {type(topic).__name__}"
    raise ConfigurationError(
        f"{shown} is not a name for a topic: 1 to {MAX_LENGTH} of the ASCII letters, digits, '.', '_' and '-'"
    )
