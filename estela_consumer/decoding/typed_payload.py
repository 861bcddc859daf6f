"""Payloads that are MongoDB's Extended JSON v2, relaxed or canonical, with the values of BSON's own types.

The wrappers come from outside, so each is read strictly: what is not exactly as the specification has it, or
holds what BSON cannot, is no document. A scraped key that begins with a dollar has one dollar more here.
"""

from __future__ import annotations

import base64
import decimal
import math
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from estela_consumer.errors import BadMessage, Reason
from estela_wire.envelope import Envelope
from estela_wire.shown import shown
from estela_wire.typed_values import BSON, DOLLAR

_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-][0-9]{2}):?([0-9]{2}))"
)
_DOLLAR, _ESCAPED_DOLLAR = DOLLAR.encode(), b"\\u0024"
_BACKSLASH = ord("\\")  # a number is found faster in bytes than bytes are
_of_iso_format = datetime.fromisoformat
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DOUBLE = re.compile(r"-?(?:Infinity|[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,4})?)|NaN")
_DECIMAL = re.compile(
    r"[+-]?(?:Infinity|Inf|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?)|[+-]?NaN", re.IGNORECASE
)
_LONGEST_DECIMAL = 10_000  # characters
_MOST_DECIMALS = 4_000  # that are remembered
_DECIMAL128_DIGITS = 34
_DECIMAL128_BIAS = 6176
_LOW = 2**64  # what the lower of its two halves holds
_OID = re.compile(r"[0-9a-fA-F]{24}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SUBTYPE = re.compile(r"[0-9a-fA-F]{1,2}")
_UUID_SUBTYPES = (3, 4)
_REGEX_FLAGS = {"i": re.I, "l": re.L, "m": re.M, "s": re.S, "u": re.U, "x": re.X}
_UINT32 = range(2**32)
_INT32 = range(-(2**31), 2**31)
_INT64 = range(-(2**63), 2**63)


_ERRORS = (ValueError, ArithmeticError, TypeError)  # of readers, and of what they call


class _Lie(ValueError):
    """A wrapper that is not what it says."""


def read_types(envelope: Envelope, data: bytes) -> None:
    """Put values in the place of the wrappers in the envelope's payload, if it says that there are any.

    `data` is the JSON that the envelope was in. Raises BadMessage.
    """
    if envelope.types != BSON:
        raise BadMessage(
            Reason.BAD_ENVELOPE,
            f"the envelope's `types` are {shown(envelope.types)}; `{BSON}` is what this version knows",
        )
    payload, found = envelope.payload, 0
    for key, value in payload.items():
        if type(value) is dict and len(value) == 1:
            for name in value:  # unpacking the item takes longer
                reader = _READERS.get(name)
            if reader is not None:
                try:
                    payload[key] = reader(value[name])
                except _ERRORS as error:
                    raise _lie(value, error) from error
                found += 1
    # Most often these are all: without another dollar, however JSON says it, no other key begins with one.
    if len(data.split(_DOLLAR, found + 1)) != found + 1 or (_BACKSLASH in data and _ESCAPED_DOLLAR in data):
        envelope.payload = _object(payload)


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    """The object with its values, the same one if no key of it begins with a dollar."""
    for key, value in fields.items():
        cls = type(value)
        if cls is dict:
            fields[key] = _value(value) if len(value) == 1 else _object(value)
        elif cls is list:
            _list(value)
    if DOLLAR in "".join(fields):
        return {_scraped(key): value for key, value in fields.items()}
    return fields


def _list(values: list[Any]) -> None:
    for place, value in enumerate(values):
        cls = type(value)
        if cls is dict:
            values[place] = _value(value)
        elif cls is list:
            _list(value)


def _value(fields: dict[str, Any]) -> Any:
    """What a wrapper holds, or an object."""
    if len(fields) == 1:
        for name in fields:  # unpacking the item takes longer
            reader = _READERS.get(name)
            if reader is not None:
                try:
                    return reader(fields[name])
                except _ERRORS as error:
                    raise _lie(fields, error) from error
    return _object(fields)


def _lie(wrapper: dict[str, Any], error: Exception) -> BadMessage:
    ((name, held),) = wrapper.items()
    why = f": {error}" if type(error) is _Lie and str(error) else ""
    return BadMessage(Reason.BAD_VALUE, f"not Extended JSON: {{{shown(name)}: {shown(held)}}}{why}")


def _scraped(key: str) -> str:
    """The key as it was scraped."""
    if not key.startswith(DOLLAR):
        return key
    if key.startswith(DOLLAR, 1):
        return key[1:]
    raise BadMessage(
        Reason.BAD_VALUE,
        f"not Extended JSON: the key {shown(key)} is no type that may stand here; a scraped key that begins "
        "with a dollar has one dollar more",
    )


def _date(held: Any) -> Any:
    """In UTC and without a zone, which pymongo encodes fastest."""
    if type(held) is not str:
        return DatetimeMS(_milliseconds(held))
    # As the extension writes it; the digits between these marks are left to Python.
    size = len(held)
    if (size == 24 and held[4:20:3] == "--T::." and held[23] == "Z") or (
        size == 20 and held[4:20:3] == "--T::Z"
    ):
        moment = _of_iso_format(held[:-1])
        if moment.tzinfo is None:  # some of the digits may have been an offset
            return moment
    return _date_of_text(held)


def _milliseconds(held: Any) -> int:
    if type(held) is dict and len(held) == 1 and "$numberLong" in held:
        return _whole(held["$numberLong"], _INT64)
    if type(held) is not int or held not in _INT64:
        raise _Lie
    return held


def _date_of_text(text: str) -> datetime:
    found = _DATE.fullmatch(text)
    if found is None:
        raise _Lie("not a date with a time and a zone")
    second, fraction, hours, minutes = found.groups()
    digits = (fraction or "0")[:6].ljust(6, "0")
    zone = f"{hours}:{minutes}" if hours else "+00:00"
    moment = datetime.fromisoformat(f"{second}.{digits}{zone}")
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


class _Decimals(dict[Any, Decimal128]):
    """Short decimals by their text: prices come again and again."""

    def __missing__(self, held: Any) -> Decimal128:
        if type(held) is not str or len(held) > _LONGEST_DECIMAL:
            raise _Lie
        if len(held) > _DECIMAL128_DIGITS:
            return _decimal(held)
        if len(self) >= _MOST_DECIMALS:
            self.clear()
        self[held] = found = _short_decimal(held)
        return found


def _short_decimal(text: str) -> Decimal128:
    """The same as `_decimal`; of plain digits in a tenth of the time."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not whole or not digits.isdecimal() or not digits.isascii():
        return _decimal(text)
    high, low = divmod(int(digits), _LOW)
    halves: Any = ((_DECIMAL128_BIAS - len(fraction)) << 49 | high, low)  # which pymongo's hints leave out
    return Decimal128(halves)


def _decimal(text: str) -> Decimal128:
    if _DECIMAL.fullmatch(text) is None:
        raise _Lie
    try:
        return Decimal128(text)
    except decimal.DecimalException as error:
        raise _Lie("more digits, or another exponent, than a Decimal128 has") from error


def _whole(held: Any, bounds: range) -> int:
    if type(held) is not str or _INTEGER.fullmatch(held) is None or int(held) not in bounds:
        raise _Lie
    return int(held)


def _double(held: Any) -> float:
    if _DOUBLE.fullmatch(held) is None:
        raise _Lie
    value = float(held)
    if math.isinf(value) and "Inf" not in held:
        raise _Lie("beyond a double")
    return value


def _binary(held: Any) -> bytes:
    if type(held) is not dict or held.keys() != {"base64", "subType"}:
        raise _Lie
    text, subtype = held["base64"], held["subType"]
    if type(text) is not str or _SUBTYPE.fullmatch(subtype) is None:
        raise _Lie
    data, number = base64.b64decode(text, validate=True), int(subtype, 16)
    if number in _UUID_SUBTYPES and len(data) != 16:
        raise _Lie("a UUID has 16 bytes")
    return Binary(data, number) if number else data


def _regex(held: Any) -> Regex[str]:
    if type(held) is not dict or held.keys() != {"pattern", "options"}:
        raise _Lie
    pattern, flags = held["pattern"], 0
    if type(pattern) is not str or type(held["options"]) is not str:
        raise _Lie
    for letter in held["options"]:
        if letter not in _REGEX_FLAGS:
            raise _Lie("no such option")
        flags |= _REGEX_FLAGS[letter]
    return Regex(pattern, flags)


def _timestamp(held: Any) -> Timestamp:
    if type(held) is not dict or held.keys() != {"t", "i"}:
        raise _Lie
    time, count = held["t"], held["i"]
    if type(time) is not int or type(count) is not int or time not in _UINT32 or count not in _UINT32:
        raise _Lie
    return Timestamp(time, count)


def _one(make: Callable[[], Any]) -> Callable[[Any], Any]:
    def read(held: Any) -> Any:
        if type(held) is not int or held != 1:
            raise _Lie
        return make()

    return read


def _text(pattern: re.Pattern[str], make: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(held: Any) -> Any:
        if pattern.fullmatch(held) is None:
            raise _Lie
        return make(held)

    return read


_READERS: dict[str, Callable[[Any], Any]] = {
    "$date": _date,
    "$numberDecimal": _Decimals().__getitem__,
    "$oid": _text(_OID, ObjectId),
    "$binary": _binary,
    "$uuid": _text(_UUID, lambda text: Binary(uuid.UUID(text).bytes, 4)),
    "$numberLong": lambda held: Int64(_whole(held, _INT64)),
    "$numberInt": lambda held: _whole(held, _INT32),
    "$numberDouble": _double,
    "$regularExpression": _regex,
    "$timestamp": _timestamp,
    "$minKey": _one(MinKey),
    "$maxKey": _one(MaxKey),
}
