"""Where a message first was: what its identity and the key of its dead letter are made of.

A message that was replayed lies elsewhere now, and its headers say where it came from. Anybody may write such
headers, and tools copy them from one message to another. So they are believed only where believing them can
take nothing from another message: they are the message's first, they say it all, and they name an earlier
place of the very partition that it lies in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from estela_queue_adapter import Message
from estela_queue_adapter.interfaces import Headers

PREFIX = "estela-"
_OWN = f"{PREFIX}own-"  # before a header of the message's that would look like one of ours
_REPLAYED = [f"{PREFIX}{name}" for name in ("topic", "partition", "offset", "timestamp", "replays")]
_NUMBER = re.compile(r"[0-9]{1,18}")
_LATEST = 2.0**63 / 1000  # seconds: Kafka's largest timestamp


class Origin(NamedTuple):
    """A place in a topic, and the time that the queue recorded there, in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: float

    def headers(self) -> list[tuple[str, bytes | None]]:
        """The headers that say it, in their order."""
        told = (self.topic, str(self.partition), str(self.offset), repr(self.timestamp))
        return [(name, text.encode(errors="replace")) for name, text in zip(_REPLAYED[:4], told, strict=True)]


def origin_of(message: Message) -> Origin:
    """Where the message first was: where its replay says, or where it is."""
    return (message.headers and _claimed(message)) or Origin(
        message.topic, message.partition, message.offset, message.timestamp
    )


def replays_of(message: Message) -> int:
    """How often the message was replayed."""
    return int(header_texts(message.headers)["replays"]) if _claimed(message) else 0


def own_headers(message: Message) -> Headers:
    """The headers without those of its replay: what it was first sent with."""
    return message.headers[len(_REPLAYED) :] if _claimed(message) else message.headers


def replay_headers(origin: Origin, replays: int) -> list[tuple[str, bytes | None]]:
    """What a replayed message's headers begin with."""
    return [*origin.headers(), (_REPLAYED[-1], str(replays).encode())]


def _claimed(message: Message) -> Origin | None:
    """What the message says of its origin, if that is to be believed."""
    begin = message.headers[: len(_REPLAYED)]
    if [name for name, _ in begin] != _REPLAYED:
        return None
    told = header_texts(begin)
    origin = read_origin(told)
    if origin is None or number(told["replays"]) is None:
        return None
    earlier = origin[:2] == message[:2] and origin.offset < message.offset
    return origin if earlier else None


def read_origin(told: dict[str, str]) -> Origin | None:
    """The origin in the texts of headers, by name without the prefix; None if they are no such."""
    partition, offset = number(told.get("partition")), number(told.get("offset"))
    try:
        timestamp = float(told.get("timestamp", ""))
    except ValueError:
        return None
    if "topic" not in told or partition is None or offset is None:
        return None
    if not math.isfinite(timestamp) or abs(timestamp) > 2 * _LATEST:
        return None
    return Origin(told["topic"], partition, offset, timestamp)


def number(text: str | None) -> int | None:
    """A number of 18 digits at most; None for anything else."""
    return int(text) if text and _NUMBER.fullmatch(text) else None


def header_texts(headers: Headers) -> dict[str, str]:
    """The headers of this project, by name without the prefix; the first of each name."""
    return {
        name.removeprefix(PREFIX): (value or b"").decode(errors="replace")
        for name, value in reversed(headers)
        if name.startswith(PREFIX) and not name.startswith(_OWN)
    }


def escaped(headers: Headers) -> list[tuple[str, bytes | None]]:
    """A message's own headers beside ours: none looks like one of ours."""
    return [(_OWN + name if name.startswith(PREFIX) else name, value) for name, value in headers]


def unescaped(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Those that `escaped` was given, out of headers that ours are among."""
    return [
        (name.removeprefix(_OWN), value)
        for name, value in headers
        if name.startswith(_OWN) or not name.startswith(PREFIX)
    ]


def headers_bytes(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """About how much headers take on the way."""
    return sum(len(name.encode(errors="surrogateescape")) + len(value or b"") + 4 for name, value in headers)
