"""The canonical form of a payload's values: equal values give equal bytes, different ones different bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import orjson
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


def canonical(value: Any) -> bytes:
    """The value's canonical JSON: keys sorted, nothing between.

    What BSON alone has a type for stands as an object whose key begins with a NUL, which no document may have
    in a key: so a date is never equal to its text, and however it travelled, it has one form. Raises
    RecursionError for what is nested too deeply.
    """
    try:
        encoded = orjson.dumps(value, canonical_type, _OPTIONS)
        # orjson writes NaN and the infinities as null; they are not the same as null.
        if b"null" not in encoded:
            return encoded
    except TypeError:
        pass  # a lone surrogate, an integer beyond 64 bits: json has an answer
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=canonical_type).encode()


def canonical_type(value: Any) -> Any:
    """What stands for a value of one of BSON's own types in canonical JSON."""
    cls = type(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal128):
        return {"\0decimal": str(value)}
    if cls is ObjectId:
        return {"\0oid": str(value)}
    if isinstance(value, bytes):
        return {"\0binary": [getattr(value, "subtype", 0), base64.b64encode(value).decode()]}
    if hasattr(value, "utcoffset"):
        return {"\0date": int(DatetimeMS(value))}
    if cls is DatetimeMS:
        return {"\0date": int(value)}
    return {f"\0{cls.__name__}": repr(value)}
