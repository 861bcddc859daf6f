"""Where a message first was: what its identity and the key of its dead letter are made of.

A message that was replayed lies elsewhere now; its headers say where it came from.
"""

from __future__ import annotations

from typing import NamedTuple

from estela_queue_adapter import Message
from estela_queue_adapter.interfaces import Headers

PREFIX = "estela-"


class Origin(NamedTuple):
    """A place in a topic, and the time that the queue recorded there, in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: float

    @property
    def key(self) -> bytes:
        """The same for every copy of what was there."""
        return f"{self.topic}:{self.partition}:{self.offset}".encode()

    def headers(self) -> list[tuple[str, bytes]]:
        """The headers that `origin_of` reads."""
        told = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "timestamp": repr(self.timestamp),
        }
        return [(PREFIX + name, text.encode(errors="replace")) for name, text in told.items()]


def origin_of(message: Message) -> Origin:
    """What the message's headers say, or where it is."""
    told = header_texts(message.headers) if message.headers else {}
    try:
        return Origin(told["topic"], int(told["partition"]), int(told["offset"]), float(told["timestamp"]))
    except (KeyError, ValueError):
        return Origin(message.topic, message.partition, message.offset, message.timestamp)


def header_texts(headers: Headers) -> dict[str, str]:
    """The headers of this project, by name without the prefix."""
    return {
        name.removeprefix(PREFIX): (value or b"").decode(errors="replace")
        for name, value in headers
        if name.startswith(PREFIX)
    }


def own_headers(headers: Headers) -> list[tuple[str, bytes]]:
    """The headers that are the message's own."""
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]
