"""JSON in which values of another system's types are written as that system has them."""

from __future__ import annotations

import datetime
import decimal
import enum
import marshal
import re
import secrets
import uuid
from typing import Any

import orjson

from estela_queue_adapter.serialization.codec import OPTIONS, Encoder, is_finite, with_null
from estela_queue_adapter.serialization.conversion import AsText, Rule

# Subclasses too are asked for, and integers of over 53 bits refused: those of over 63 may have another type.
_LOOSE = OPTIONS | orjson.OPT_PASSTHROUGH_SUBCLASS
_STRICT = _LOOSE | orjson.OPT_STRICT_INTEGER
_NINETEEN_DIGITS = re.compile(rb"[:,\[](?:9[2-9]|\d{3})\d{17}").search  # what is over 2**63 has no fewer
_INTEGERS_AND_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\d{19,}', re.DOTALL)
# orjson writes UUIDs without a question. Text that looks like one has three groups between dashes.
_UUID = re.compile(rb"-....-....-....-", re.DOTALL).search
_DASH = ord("-")  # a number is found in bytes in a tenth of the time
_BASES = (dict, list, str, int)
_NATIVE = frozenset({str, int, float, bool, type(None)})
_TYPED = frozenset({datetime.datetime, datetime.date, decimal.Decimal, bytes, uuid.UUID})
# What stands for a fragment while the standard library writes JSON: nothing else can have it.
_PLACE = secrets.token_hex(16)
_PLACES = re.compile(rb'"%b(\d+)"' % _PLACE.encode())


class TypedEncoder(Encoder):
    """Writes values as JSON, those that `types` knows as it has them. May be called as `types` may.

    `types` gives an `orjson.Fragment`, AsText, a simpler value or NotImplemented. It is asked for whatever is
    not one of JSON's types itself, subclasses of these and integers beyond 64 bits among them, but not for
    keys, and before all rules but `rule_once`.
    """

    def __init__(
        self,
        types: Rule,
        rule: Rule | None = None,
        rule_once: Rule | None = None,
        *,
        every_value: bool = False,
    ) -> None:
        super().__init__(rule, rule_once, every_value=every_value)
        self._type: Rule = types
        self._types = types

    def _whole(self, data: Any, simpler: Rule) -> bytes:
        try:
            encoded = orjson.dumps(data, simpler, _STRICT)
        except TypeError as error:
            if "53-bit" not in str(error):
                raise
            encoded = orjson.dumps(data, simpler, _LOOSE)
            if _has_unsigned(encoded):
                raise
        if _DASH in encoded and _UUID(encoded) and not _is_builtin(data):
            encoded = orjson.dumps(self._prepared(data), self._preparing(simpler), _LOOSE)
        if encoded.rfind(b"null") < 0 or is_finite((data,), _TYPED):
            return encoded
        return self._with_null(data, simpler)

    def _with_null(self, data: Any, simpler: Rule) -> bytes:
        fragments: list[bytes] = []
        prepare = self._preparing(simpler)

        def simpler_of_all(value: Any) -> Any:
            found = value if type(value) is orjson.Fragment else prepare(value)
            if type(found) is not orjson.Fragment:
                return found
            fragments.append(orjson.dumps(found))
            return f"{_PLACE}{len(fragments) - 1}"

        encoded = with_null(self._prepared(data), simpler_of_all)
        return _PLACES.sub(lambda place: fragments[int(place[1])], encoded)

    def _preparing(self, simpler: Rule) -> Rule:
        return lambda value: self._prepared(simpler(value))

    def _prepared(self, value: Any) -> Any:
        """A copy in which nothing that `types` knows is left to what writes JSON."""
        cls = type(value)
        if cls in _NATIVE:
            return value
        if cls is dict:
            return {key: self._prepared(inner) for key, inner in value.items()}
        if cls is list or cls is tuple:
            return [self._prepared(inner) for inner in value]
        if issubclass(cls, enum.Enum):
            return self._prepared(value.value)
        if cls is not uuid.UUID and not issubclass(cls, _BASES):
            return value
        found = self._of_type(value)
        return found if type(found) is orjson.Fragment else self._prepared(found)

    def _simpler(self, value: Any) -> Any:
        found = self._of_type(value)
        return super()._simpler(value) if found is NotImplemented else found

    def _of_type(self, value: Any) -> Any:
        found = self._type(value)
        if type(found) is AsText:
            raise TypeError(found.why)  # which has to be told
        return found

    def _simpler_once(self, value: Any) -> Any:
        cls = type(value)
        is_base = issubclass(cls, _BASES) and not issubclass(cls, enum.Enum)
        if not is_base and self._rule_once is not None:
            found = self._rule_once(value)
            if found is not NotImplemented:
                return found
        found = self._type(value)
        return self._after_once(value) if found is NotImplemented else found


def _has_unsigned(encoded: bytes) -> bool:
    """Whether an integer in the JSON is beyond 64 bits with a sign."""
    if not _NINETEEN_DIGITS(encoded):
        return False
    found = _INTEGERS_AND_TEXTS.findall(encoded)
    return any(each[:1] != b'"' and int(each) >= 2**63 for each in found)


def _is_builtin(data: Any) -> bool:
    """Whether it holds nothing but Python's own plain types, no UUID among them."""
    try:
        marshal.dumps(data)
    except ValueError:
        return False
    return True
