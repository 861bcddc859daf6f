"""Messages that are too large to be a dead letter, cut until they are not. Pure."""

from __future__ import annotations

from typing import NamedTuple

from estela_queue_adapter.messages import Headers
from estela_wire.headers import headers_bytes


class Parts(NamedTuple):
    """What a letter carries of its message, and the whole size in bytes of whatever was cut."""

    data: bytes
    key: bytes | None
    headers: Headers
    truncated: int | None = None
    truncated_key: int | None = None
    truncated_headers: int | None = None


def cut(whole: Parts, budget: int) -> Parts:
    """No more than `budget` bytes of it: the value is cut first, to half of them, then key, then headers."""
    data, key, headers = whole[:3]
    key_size, headers_size = len(key or b""), headers_bytes(headers)
    data = data[: max(budget // 2, budget - key_size - headers_size)]
    if key is not None:
        key = key[: max(budget // 4, budget - len(data) - headers_size)]
    headers = _cut_headers(headers, budget - len(data) - len(key or b""))
    return Parts(
        data,
        key,
        headers,
        len(whole.data) if data != whole.data else None,
        key_size if key != whole.key else None,
        headers_size if headers != list(whole.headers) else None,
    )


def _cut_headers(headers: Headers, budget: int) -> list[tuple[str, bytes | None]]:
    """The first of them, whole as long as they fit; of the next as much of its value as fits."""
    kept: list[tuple[str, bytes | None]] = []
    for name, value in headers:
        budget -= headers_bytes([(name, value)])
        if budget >= 0:
            kept.append((name, value))
            continue
        if value is not None and (rest := len(value) + budget) >= 0:
            kept.append((name, value[:rest]))
        break
    return kept
