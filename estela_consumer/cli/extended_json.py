"""Documents as JSON: MongoDB's relaxed Extended JSON, for what JSON has no word for."""

from __future__ import annotations

import math
from typing import Any

import orjson
from bson import json_util

_PLAIN = frozenset({str, int, bool, type(None)})
_RELAXED = json_util.RELAXED_JSON_OPTIONS
_OPTIONS = (
    orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
)


def extended_json(value: Any, *, indent: int | None = None) -> str:
    """The value as any JSON parser reads it, and as `bson.json_util.loads` reads it back.

    NaN, the infinities, dates, bytes, ObjectIds and the other types of BSON become objects such as
    `{"$numberDouble": "NaN"}`; all else stands as it is.
    """
    if indent is None:
        try:
            encoded = orjson.dumps(value, _extended, _OPTIONS)
            if b"null" not in encoded or _is_plain(value):  # as orjson writes NaN and the infinities, too
                return encoded.decode()
        except TypeError:
            pass  # integers beyond 64 bits, lone surrogates, a nesting of hundreds of levels
    separators = (",", ":") if indent is None else None
    return json_util.dumps(
        value, json_options=_RELAXED, ensure_ascii=False, indent=indent, separators=separators
    )


def _is_plain(value: Any) -> bool:
    """Whether it holds nothing but what JSON has a word for; False if that would take a closer look."""
    kind = type(value)
    if kind is dict:
        return all(map(_is_plain, value.values()))
    if kind is list:
        return all(map(_is_plain, value))
    return kind in _PLAIN or (kind is float and math.isfinite(value))


def _extended(value: Any) -> Any:
    if isinstance(value, dict):  # one that keeps an order, or the like
        return dict(value)
    return json_util.default(value, _RELAXED)
