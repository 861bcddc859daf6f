"""Documents as JSON: what JSON has no word for as MongoDB's relaxed Extended JSON, or as plain text."""

from __future__ import annotations

import base64
import math
import uuid
from datetime import datetime
from typing import Any

import orjson
from bson import json_util
from bson.binary import UUID_SUBTYPE, Binary
from bson.datetime_ms import DatetimeMS
from bson.regex import Regex

from estela_queue_adapter.serialization.conversion import text_of_bytes

_PLAIN = frozenset({str, int, bool, type(None)})
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
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


def plain_text(value: Any) -> Any:
    """The value with text in the place of what JSON has no word for, at any depth.

    A date is ISO 8601 in UTC, or its milliseconds from 1970 if Python has no such year; bytes are their UTF-8
    text or base64; all else is its `str()`.
    """
    if isinstance(value, dict):
        return {key: plain_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain_text(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_FINITE[repr(value)]
    if isinstance(value, (str, bool, type(None))):
        return value
    if isinstance(value, (int, DatetimeMS)):
        return int(value)
    if isinstance(value, datetime):
        return f"{value.replace(tzinfo=None).isoformat(timespec=_precision(value))}Z"
    if isinstance(value, Binary):
        is_uuid = value.subtype == UUID_SUBTYPE and len(value) == 16
        return str(uuid.UUID(bytes=bytes(value))) if is_uuid else base64.b64encode(value).decode()
    if isinstance(value, bytes):
        return text_of_bytes(value)
    return str(value.pattern) if isinstance(value, Regex) else str(value)


def _precision(value: datetime) -> str:
    return "milliseconds" if value.microsecond else "seconds"


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
