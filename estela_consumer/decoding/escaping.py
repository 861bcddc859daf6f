"""Keys that MongoDB or estela's readers would misread, written so that they can be read back.

A dot becomes the six characters `\\u002e`, which estela's readers turn back. So that the way back is
unambiguous, a backslash that already begins such an escape becomes `\\u005c`. An item's own `_id` becomes
`\\u005fid`, because `_id` is the store's, and so its `_estela` becomes `\\u005festela`.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

_TO_ESCAPE = re.compile(r"\.|\\(?=u00(?:2e|2f|5c|5f))")
_ESCAPED = re.compile(r"\\u00(2e|2f|5c|5f)")
_OWN = {"_id": "\\u005fid", "_estela": "\\u005festela"}

_MOST = 2_000  # keys, and shapes, that are remembered; a crawl's items have few
_LONGEST_KEY = 200  # characters of a key that is remembered
_LONGEST_SHAPE = 2_000  # characters of all keys of a shape that is


def may_hold_backslashes(data: bytes) -> bool:
    """Whether a key or text in this JSON may: it says so with two backslashes, or with one and a number."""
    return b"\\\\" in data or b"\\u005" in data


def escape_key(key: str) -> str:
    """The key as it is stored."""
    return _TO_ESCAPE.sub(lambda found: f"\\u{ord(found[0]):04x}", key)


def unescape_key(key: str) -> str:
    """The key as it was scraped."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), key)


def unescape_key_beside(key: str, keys: Container[str]) -> str:
    """The key as it was scraped, or as it is if another of `keys` is called so, and stays so."""
    scraped = unescape_key(key)
    return key if scraped in keys and unescape_key(scraped) == scraped else scraped


def escape_document(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with every key escaped, at any depth."""
    escaped = _escaped(payload)
    if "_id" in escaped or "_estela" in escaped:
        return {_OWN.get(key, key): value for key, value in escaped.items()}
    return escaped


def unescape_document(document: dict[str, Any]) -> dict[str, Any]:
    """The payload that `escape_document` was given.

    Of a document with a field of its own that is called as a scraped one was, the scraped one stays escaped.
    """
    unescaped: dict[str, Any] = _unescaped(document)
    return unescaped


def _escaped(value: dict[str, Any]) -> dict[str, Any]:
    # Plain loops: a comprehension with two conditions takes a third longer.
    escaped = {}
    for key, inner in value.items():
        if (kind := type(inner)) is dict:
            inner = _escaped(inner)
        elif kind is list:
            inner = _escaped_list(inner)
        escaped[_stored_keys[key]] = inner
    return escaped


def _escaped_list(values: list[Any]) -> list[Any]:
    escaped = []
    for inner in values:
        if (kind := type(inner)) is dict:
            inner = _escaped(inner)
        elif kind is list:
            inner = _escaped_list(inner)
        escaped.append(inner)
    return escaped


class _StoredKeys(dict[str, str]):
    """Keys as they are stored, by what they are: the same few come again and again."""

    def __missing__(self, key: str) -> str:
        stored = escape_key(key)
        if len(key) <= _LONGEST_KEY:
            if len(self) >= _MOST:
                self.clear()
            self[key] = stored
        return stored


_stored_keys = _StoredKeys()


class Shapes(set[tuple[str, ...]]):
    """The top-level keys of payloads that had a key to escape, as far as they are remembered.

    It only spares a try that would fail: what is forgotten is found out again.
    """

    def remember(self, payload: dict[str, Any]) -> None:
        """Know the next payload with the same keys; not what has more or longer ones than items have."""
        shape = tuple(payload)
        if len("".join(shape)) <= _LONGEST_SHAPE:
            if len(self) >= _MOST:
                self.clear()
            self.add(shape)


def _unescaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {unescape_key_beside(key, value): _unescaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unescaped(inner) for inner in value]
    return value
