"""The headers of this project, and what they say of where a message first was.

A message's first place decides its identity and the key of its dead letter. A message that was replayed is
elsewhere now, and its headers say where it came from. Anybody may write such headers, and tools copy them
from one message to another. So they are believed only if believing them can take nothing from another
message: they are the message's first, they say it all, and they name an earlier place of its own partition.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from estela_queue_adapter import Message
from estela_queue_adapter.messages import Headers

PREFIX = "estela-"
OWN_PREFIX = f"{PREFIX}own-"
"""Before the name of a message's own header that would look like one of ours."""

# Where the message first was, in a dead letter and in a replayed message.
TOPIC = f"{PREFIX}topic"
PARTITION = f"{PREFIX}partition"
OFFSET = f"{PREFIX}offset"
TIMESTAMP = f"{PREFIX}timestamp"  # seconds since the epoch
REPLAYS = f"{PREFIX}replays"  # how often it was replayed

# In a dead letter alone.
REASON = f"{PREFIX}reason"
ERROR = f"{PREFIX}error"
TIME = f"{PREFIX}time"  # when it became one, ISO 8601
KEY = f"{PREFIX}key"  # the message's own
TRUNCATED = f"{PREFIX}truncated"  # bytes of the whole value, if it was cut; likewise of the two below
TRUNCATED_KEY = f"{PREFIX}truncated-key"
TRUNCATED_HEADERS = f"{PREFIX}truncated-headers"
UNREADABLE_FROM = f"{PREFIX}unreadable-from"  # the first of the offsets that its raw bytes take

# In the tombstone of a letter that was not replayed: why it never shall be.
DISCARDED = f"{PREFIX}discarded"

_OF_ORIGIN = (TOPIC, PARTITION, OFFSET, TIMESTAMP)
_OF_REPLAY = [*_OF_ORIGIN, REPLAYS]
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
        texts = (self.topic, str(self.partition), str(self.offset), repr(self.timestamp))
        return [(name, text.encode(errors="replace")) for name, text in zip(_OF_ORIGIN, texts, strict=True)]


def origin_of(message: Message) -> Origin:
    """Where the message first was: the place that its replay names, or else its own."""
    return (message.headers and _claimed_origin(message)) or Origin(
        message.topic, message.partition, message.offset, message.timestamp
    )


def replays_of(message: Message) -> int:
    """How often the message was replayed."""
    return int(header_texts(message.headers)[REPLAYS]) if _claimed_origin(message) else 0


def own_headers(message: Message) -> Headers:
    """The headers without those of its replay: what it was first sent with."""
    return message.headers[len(_OF_REPLAY) :] if _claimed_origin(message) else message.headers


def replay_headers(origin: Origin, replays: int) -> list[tuple[str, bytes | None]]:
    """What a replayed message's headers begin with."""
    return [*origin.headers(), (REPLAYS, str(replays).encode())]


def _claimed_origin(message: Message) -> Origin | None:
    """What the message's headers say of its origin, if that is to be believed."""
    first = message.headers[: len(_OF_REPLAY)]
    if [name for name, _ in first] != _OF_REPLAY:
        return None
    texts = header_texts(first)
    origin = read_origin(texts)
    if origin is None or number(texts[REPLAYS]) is None:
        return None
    is_earlier = origin[:2] == message[:2] and origin.offset < message.offset
    return origin if is_earlier else None


def read_origin(texts: dict[str, str]) -> Origin | None:
    """The origin in the texts of headers, by name; None if they name none."""
    partition, offset = number(texts.get(PARTITION)), number(texts.get(OFFSET))
    try:
        timestamp = float(texts.get(TIMESTAMP, ""))
    except ValueError:
        return None
    if TOPIC not in texts or partition is None or offset is None:
        return None
    if not math.isfinite(timestamp) or abs(timestamp) > 2 * _LATEST:
        return None
    return Origin(texts[TOPIC], partition, offset, timestamp)


def number(text: str | None) -> int | None:
    """A number of 18 digits at most; None for anything else."""
    return int(text) if text and _NUMBER.fullmatch(text) else None


def header_texts(headers: Headers) -> dict[str, str]:
    """The headers of this project, by name; the first of each name."""
    return {
        name: (value or b"").decode(errors="replace")
        for name, value in reversed(headers)
        if name.startswith(PREFIX) and not name.startswith(OWN_PREFIX)
    }


def escaped(headers: Headers) -> list[tuple[str, bytes | None]]:
    """A message's own headers beside ours: none looks like one of ours."""
    return [(OWN_PREFIX + name if name.startswith(PREFIX) else name, value) for name, value in headers]


def unescaped(headers: Headers) -> list[tuple[str, bytes | None]]:
    """Those that `escaped` was given, out of headers that ours are among."""
    return [
        (name.removeprefix(OWN_PREFIX), value)
        for name, value in headers
        if name.startswith(OWN_PREFIX) or not name.startswith(PREFIX)
    ]


def headers_bytes(headers: Sequence[tuple[str, bytes | None]]) -> int:
    """About how many bytes headers take in a message."""
    return sum(len(name.encode(errors="surrogateescape")) + len(value or b"") + 4 for name, value in headers)
