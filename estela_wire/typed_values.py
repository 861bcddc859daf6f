"""Values of BSON's own types as they travel: MongoDB's Extended JSON v2 inside the JSON of a payload.

It is the relaxed form: a date is `{"$date": "2026-01-31T09:30:00Z"}`, and before 1970 or after 9999, as the
specification has it, `{"$date": {"$numberLong": "<milliseconds>"}}`. In such a payload, and in no other, each
scraped key that begins with a dollar has one dollar more, so that no scraped key is taken for a type's.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import re
import uuid
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from orjson import Fragment

from estela_queue_adapter.serialization.conversion import AsText, Rule

BSON = "bson"
"""The value of an envelope's `types` if its payload is Extended JSON."""
JSON = "json"
"""How a setting names the types of a payload that is plain JSON; its envelope says nothing."""
DOLLAR = "$"
"""How the key of a type begins; a scraped key that begins so has one more."""

# JSON's escape for a dollar, which no writer of ours has for a scraped one: it tells the types' keys from
# those that were scraped until these have theirs.
_MARK = b'"\\u0024'
_SCRAPED_KEY = re.compile(rb'([{,]")(\$[^"\\]*(?:\\.[^"\\]*)*":)', re.DOTALL)

_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001  (without a zone, as what is subtracted)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_AFTER_ISO = 253_402_300_800_000  # milliseconds from 1970 to the year 10000
_DECIMAL128_DIGITS = 34
_DECIMAL128 = decimal.Context(
    prec=_DECIMAL128_DIGITS,
    Emin=-6143,
    Emax=6144,
    clamp=1,
    traps=[decimal.InvalidOperation, decimal.Overflow, decimal.Inexact],
)
_INT64 = range(-(2**63), 2**63)
_MISFIT = f"more than the {_DECIMAL128_DIGITS} digits or the exponent of a Decimal128"
_REGEX_OPTIONS = (
    (re.IGNORECASE, "i"),
    (re.LOCALE, "l"),
    (re.MULTILINE, "m"),
    (re.DOTALL, "s"),
    (re.UNICODE, "u"),
    (re.VERBOSE, "x"),
)


class ExtendedJson(bytes):
    """A payload that holds Extended JSON; its envelope says so."""

    __slots__ = ()


class BsonTypes:
    """The rule that writes values of BSON's types. Lives on one thread.

    It gives an `orjson.Fragment`, or AsText for what its type cannot hold, or something nearer to JSON, and
    NotImplemented for what BSON has no type of its own for. pymongo's classes are known by their names.
    """

    def __init__(self) -> None:
        self.met = False
        """Whether it has met one since somebody has said that it has not, as before each payload."""
        self._found: WeakKeyDictionary[type, Rule] = WeakKeyDictionary()

    def finish(self, encoded: bytes) -> bytes:
        """The payload as it travels, if a value was met: an ExtendedJson, or the very same."""
        if _MARK not in encoded:  # it may have been in a key, which is text
            return encoded
        if b'{"$' in encoded or b',"$' in encoded:
            encoded = _SCRAPED_KEY.sub(rb"\1$\2", encoded)
        return ExtendedJson(encoded.replace(_MARK, b'"$'))

    def rule(self, value: Any) -> Any:
        """What stands for the value; see the class."""
        cls = type(value)
        rule = _KNOWN.get(cls) or self._found.get(cls)
        if rule is None:
            rule = self._found[cls] = _rule_of(cls)
        found = rule(value)
        if type(found) is Fragment:
            self.met = True
        return found


def _written(name: str, value: bytes) -> Fragment:
    return Fragment(b'{"\\u0024%b":%b}' % (name.encode(), value))


def _datetime(value: datetime.datetime) -> Any:
    """A BSON date; what has no zone is taken for UTC, as pymongo does, and milliseconds are kept."""
    if value != value:  # pandas' NaT
        return None
    offset = value.utcoffset()
    moment = datetime.datetime(  # noqa: DTZ001
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
    )
    return _of_milliseconds((moment - _EPOCH - (offset or datetime.timedelta())) // _MILLISECOND)


def _exact_datetime(value: datetime.datetime) -> Any:
    """The same for the class itself, most often in UTC and after 1970."""
    if value.tzinfo is not None and value.tzinfo is not datetime.timezone.utc:
        return _datetime(value)
    if value.year < 1970:
        return _datetime(value)
    moment = value.replace(tzinfo=None)
    text = moment.isoformat("T", "milliseconds" if value.microsecond >= 1000 else "seconds")
    return Fragment(b'{"\\u0024date":"%bZ"}' % text.encode())


def _date(value: datetime.date) -> Any:
    return _datetime(datetime.datetime(value.year, value.month, value.day))  # noqa: DTZ001


def _of_milliseconds(milliseconds: int) -> Fragment:
    if not 0 <= milliseconds < _AFTER_ISO:
        return _written("date", b'{"\\u0024numberLong":"%d"}' % milliseconds)
    moment = _EPOCH + milliseconds * _MILLISECOND
    text = moment.isoformat("T", "milliseconds" if milliseconds % 1000 else "seconds")
    return _written("date", b'"%bZ"' % text.encode())


def _decimal(value: decimal.Decimal) -> Any:
    text = decimal.Decimal.__str__(value)
    if len(text) > _DECIMAL128_DIGITS or "E" in text or "N" in text:  # else it fits
        if decimal.Decimal.is_nan(value):
            text = "NaN"  # BSON knows one
        elif decimal.Decimal.is_finite(value):
            try:
                text = str(_DECIMAL128.create_decimal(value))
            except decimal.DecimalException:
                return AsText(text, _MISFIT)
    return Fragment(b'{"\\u0024numberDecimal":"%b"}' % text.encode())


def _integer(value: int) -> Any:
    """Itself, or, if BSON has no integer so long, a Decimal128."""
    if value in _INT64:
        return value
    whole = decimal.Decimal(value)
    found = _decimal(whole)
    return AsText(f"{whole:f}", found.why) if type(found) is AsText else found


def _binary(value: bytes | bytearray | memoryview, subtype: int = 0) -> Fragment:
    written = base64.b64encode(value)
    return _written("binary", b'{"base64":"%b","subType":"%02x"}' % (written, subtype))


def _memory(value: memoryview) -> Any:
    """A memoryview of numbers is a list of them."""
    return _binary(bytes(value)) if value.ndim == 1 and value.format in "Bbc" else NotImplemented


def _uuid(value: uuid.UUID) -> Fragment:
    return _written("uuid", b'"%b"' % uuid.UUID.__str__(value).encode())


def _regex(value: Any) -> Any:
    """Python's or pymongo's; one of bytes is no text of BSON's."""
    if not isinstance(value.pattern, str):
        return NotImplemented
    options = "".join(letter for flag, letter in _REGEX_OPTIONS if value.flags & flag)
    try:
        written = orjson.dumps({"pattern": value.pattern, "options": options})
    except TypeError:  # a lone surrogate
        return NotImplemented
    return _written("regularExpression", written)


def _left_alone(_: Any) -> Any:
    return NotImplemented


_KNOWN: dict[type, Rule] = {
    datetime.datetime: _exact_datetime,
    datetime.date: _date,
    decimal.Decimal: _decimal,
    bytes: _binary,
    bytearray: _binary,
    memoryview: _memory,
    uuid.UUID: _uuid,
    int: _integer,
    re.Pattern: _regex,
}
_OF_PYMONGO: dict[str, Rule] = {
    "bson.objectid.ObjectId": lambda value: _written("oid", b'"%b"' % str(value).encode()),
    "bson.decimal128.Decimal128": lambda value: _written("numberDecimal", b'"%b"' % str(value).encode()),
    "bson.int64.Int64": lambda value: _written("numberLong", b'"%d"' % value),
    "bson.binary.Binary": lambda value: _binary(value, value.subtype),
    "bson.regex.Regex": _regex,
    "bson.timestamp.Timestamp": lambda value: _written(
        "timestamp", b'{"t":%d,"i":%d}' % (value.time, value.inc)
    ),
    "bson.datetime_ms.DatetimeMS": lambda value: _of_milliseconds(int(value)),
    "bson.min_key.MinKey": lambda _: _written("minKey", b"1"),
    "bson.max_key.MaxKey": lambda _: _written("maxKey", b"1"),
    "bson.dbref.DBRef": lambda value: dict(value.as_doc()),
}
# What a subclass of JSON's own types holds, whatever its own methods give.
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (dict, lambda value: dict(dict.items(value))),
    (list, lambda value: list.__getitem__(value, slice(None))),
    (str, str.__str__),
    (int, int.__int__),
)
_DERIVED: tuple[tuple[type, Rule], ...] = (
    (datetime.datetime, _datetime),
    (datetime.date, _date),
    (decimal.Decimal, _decimal),
    (bytes, _binary),
    (bytearray, _binary),
    (uuid.UUID, _uuid),
)


def _rule_of(cls: type) -> Rule:
    if issubclass(cls, enum.Enum):
        return _left_alone
    names = [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__]
    for name in names:
        if name in _OF_PYMONGO:
            return _OF_PYMONGO[name]
    for base, rule in _BASES:
        if issubclass(cls, base):
            return rule
    if any(name.startswith("numpy.") for name in names):  # some of its scalars are Python's bytes as well
        return _left_alone
    return next((rule for base, rule in _DERIVED if issubclass(cls, base)), _left_alone)
