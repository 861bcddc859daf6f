"""Values to bytes and back: UTF-8 JSON, as estela sends and reads it.

No value costs a message only because JSON has no word for it: `conversion` says what is written instead.
"""

from __future__ import annotations

import enum
import json
import uuid
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

import msgspec
import orjson

from estela_queue_adapter.errors import NestedTooDeeply, SerializationError
from estela_queue_adapter.serialization.conversion import Rule, rule_of_function, simpler
from estela_queue_adapter.serialization.writing import Converted, Writer

_parse = msgspec.json.Decoder().decode  # as fast as orjson, which rounds integers beyond 64 bits to floats

_FINITE = frozenset({str, int, bool, type(None)})
OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME  # a rule says how


class Encoder:
    """Writes values as JSON. May be called from several threads at once.

    `rule` is asked before the rules of `conversion`; it may be asked several times for the same value, and
    raises for what is a matter of `rule_once`. This is asked before both, and once for each value: it may use
    up what it is given. With `every_value` it is asked for all that JSON has no word for, enumerations and
    UUIDs among them, which takes several times as long.
    """

    _types: Rule | None = None  # of `TypedEncoder`

    def __init__(
        self, rule: Rule | None = None, rule_once: Rule | None = None, *, every_value: bool = False
    ) -> None:
        self._rule = rule
        self._rule_once = rule_once
        self._every_value = every_value

    def encode(self, data: Any, converted: list[Converted] | None = None) -> bytes:
        """`data` as JSON; what only its `str()` could stand for is added to `converted`.

        Raises SerializationError, which says where in `data` and why.
        """
        if not self._every_value:
            try:
                return self._whole(data, self._simpler)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:  # noqa: BLE001, S110  (the writer meets it again, and says where)
                pass
        whole = None if self._every_value else self._whole
        return Writer(whole, self._simpler_once, converted, self._types).encode(data)

    def _whole(self, data: Any, simpler: Rule) -> bytes:
        """`data` as JSON, with every value that JSON has no word for by `simpler`; or any exception."""
        encoded = orjson.dumps(data, simpler, OPTIONS)
        # Of all ways to search bytes this one takes the least, a third of what `in` does.
        return encoded if encoded.rfind(b"null") < 0 or is_finite((data,)) else with_null(data, simpler)

    def _simpler(self, value: Any) -> Any:
        found = NotImplemented if self._rule is None else self._rule(value)
        if found is NotImplemented:
            found = simpler(value)
        if found is NotImplemented:
            raise TypeError(f"{type(value).__name__} is not JSON serializable")
        return found

    def _simpler_once(self, value: Any) -> Any:
        if self._rule_once is not None and (found := self._rule_once(value)) is not NotImplemented:
            return found
        return self._after_once(value)

    def _after_once(self, value: Any) -> Any:
        if self._rule is not None and (found := self._rule(value)) is not NotImplemented:
            return found
        return simpler(value)


def is_finite(values: Iterable[Any], also: frozenset[type] = frozenset()) -> bool:
    """Whether no NaN and no infinity is among them, at any depth.

    False as well if it would take a closer look, as for all that is neither of JSON's types nor `also`.
    """
    for value in values:
        kind = type(value)
        if kind in _FINITE or kind in also:
            continue
        if kind is float:
            if not isfinite(value):
                return False
        elif kind is dict:
            if not is_finite(value.values(), also):
                return False
        elif (kind is not list and kind is not tuple) or not is_finite(value, also):
            return False
    return True


def with_null(data: Any, simpler: Rule) -> bytes:
    """What orjson would write if it knew NaN and the infinities, which it writes as null."""

    def simpler_of_all(value: Any) -> Any:  # json does not know what orjson knows by itself
        if isinstance(value, enum.Enum):
            return value.value
        return str(value) if isinstance(value, uuid.UUID) else simpler(value)

    text = json.dumps(data, default=simpler_of_all, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")  # a lone surrogate travels as its JSON escape


_ENCODER = Encoder()


def serialize(data: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """`data` as JSON; bytes are taken for JSON already and returned as they are.

    `default` is asked first for what JSON has no word for, several times perhaps; it raises TypeError, or
    returns NotImplemented, for what it does not know. Raises SerializationError, which says where and why.
    """
    if isinstance(data, bytes):
        return data
    return (_ENCODER if default is None else Encoder(rule_of_function(default))).encode(data)


def deserialize(data: bytes) -> Any:
    """The value in UTF-8 JSON; NaN, Infinity and integers (up to 4,300 digits) come back as they were.

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
