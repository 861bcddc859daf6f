"""Keys that MongoDB or estela's readers would misread, written so that they can be read back.

A dot becomes the six characters `\\u002e`, which estela's readers turn back. So that the way back is
unambiguous, a backslash that already begins such an escape becomes `\\u005c`. An item's own `_id` becomes
`\\u005fid`, because `_id` is the store's, and so its `_estela` becomes `\\u005festela`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_TO_ESCAPE = re.compile(r"\.|\\(?=u00(?:2e|2f|5c|5f))")
_ESCAPED = re.compile(r"\\u00(2e|2f|5c|5f)")
_OWN = {"_id": "\\u005fid", "_estela": "\\u005festela"}


def may_hold_backslashes(data: bytes) -> bool:
    """Whether a key or text in this JSON may: it says so with two backslashes, or with one and a number."""
    return b"\\\\" in data or b"\\u005" in data


def escape_key(key: str) -> str:
    """The key as it is stored."""
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", key)


def unescape_key(key: str) -> str:
    """The key as it was scraped."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), key)


def escape_document(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with every key escaped, at any depth; the same object if nothing needs it."""
    if "_id" not in payload and "_estela" not in payload and not _needs_escaping(payload):
        return payload
    escaped: dict[str, Any] = _escaped(payload)
    if "_id" in escaped or "_estela" in escaped:
        return {_OWN.get(key, key): value for key, value in escaped.items()}
    return escaped


def unescape_document(document: dict[str, Any]) -> dict[str, Any]:
    """The payload that `escape_document` was given."""
    unescaped: dict[str, Any] = _unescaped(document)
    return unescaped


def _needs_escaping(value: dict[str, Any]) -> bool:
    """Whether any key may. Looks at all keys of an object in one go: nearly every payload needs nothing."""
    keys = "".join(value)
    return "." in keys or "\\" in keys or _any_needs_escaping(value.values())


def _any_needs_escaping(values: Iterable[Any]) -> bool:
    for value in values:
        kind = type(value)
        if (kind is dict and _needs_escaping(value)) or (kind is list and _any_needs_escaping(value)):
            return True
    return False


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {escape_key(key): _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value


def _unescaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {unescape_key(key): _unescaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unescaped(inner) for inner in value]
    return value
