"""Keys that MongoDB or estela's readers would misread, written so that they can be read back.

A dot becomes the six characters `\\u002e`, which estela's readers turn back. So that the way back is
unambiguous, a backslash that already begins such an escape becomes `\\u005c`. An item's own `_id` becomes
`\\u005fid`, because `_id` is the store's.
"""

from __future__ import annotations

import re
from typing import Any

_TO_ESCAPE = re.compile(r"\.|\\(?=u00(?:2e|2f|5c|5f))")
_ESCAPED = re.compile(r"\\u00(2e|2f|5c|5f)")
_OWN_ID = "\\u005fid"


def escape_key(key: str) -> str:
    """The key as it is stored."""
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", key)


def unescape_key(key: str) -> str:
    """The key as it was scraped."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), key)


def escape_document(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with every key escaped, at any depth; the same object where nothing needs it."""
    escaped: dict[str, Any] = _escaped(payload)
    if "_id" in escaped:
        return {_OWN_ID if key == "_id" else key: value for key, value in escaped.items()}
    return escaped


def unescape_document(document: dict[str, Any]) -> dict[str, Any]:
    """The payload that `escape_document` was given."""
    unescaped: dict[str, Any] = _unescaped(document)
    return unescaped


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        if not any("." in key or "\\" in key or type(inner) in (dict, list) for key, inner in value.items()):
            return value
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
