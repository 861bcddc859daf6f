"""Values to bytes and back: UTF-8 JSON, as estela sends and reads it."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from estela_queue_adapter.errors import NestedTooDeeply, SerializationError

_parse = msgspec.json.Decoder().decode  # as fast as orjson, which rounds integers beyond 64 bits to floats

_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME  # `default` says how


def serialize(data: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """`data` as JSON; bytes are taken for JSON already and returned as they are.

    `default` turns what JSON does not know into what it knows, or raises TypeError; without one,
    dates become ISO 8601, decimals strings and sets lists. Raises SerializationError.
    """
    if isinstance(data, bytes):
        return data
    default = default or _plain
    try:
        encoded = orjson.dumps(data, default, _OPTIONS)
        # orjson writes NaN and the infinities as null; json keeps them.
        if b"null" not in encoded:
            return encoded
    except TypeError:
        pass  # big integers, keys that are not strings: json knows these, or says what it does not know
    try:
        return _dumps(data, default)
    except (TypeError, ValueError, RecursionError) as error:
        raise SerializationError(f"not a JSON value: {error}") from error


def deserialize(data: bytes) -> Any:
    """The value in UTF-8 JSON; NaN, Infinity and integers of any size come back as what they are.

    Raises SerializationError.
    """
    try:
        return _parse(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # NaN, the infinities, lone surrogates: json knows these, or says what is wrong
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise SerializationError(f"not UTF-8: {error}") from error
    except RecursionError as error:
        raise NestedTooDeeply("nested too deeply") from error
    except ValueError as error:
        raise SerializationError(f"not JSON: {error}") from error


def _dumps(data: Any, default: Callable[[Any], Any]) -> bytes:
    """What orjson would write, if it knew NaN, big integers and all kinds of keys."""

    def convert(value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return value.value
        return str(value) if isinstance(value, uuid.UUID) else default(value)

    text = json.dumps(data, default=convert, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")  # a lone surrogate travels as its JSON escape


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")
