"""The fields of a payload that others have written: each of the type that it should have, or an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from estela_queue_adapter.errors import SerializationError
from estela_wire.shown import shown

_KINDS = {str: "text", bool: "true or false", int: "a whole number", list: "a list"}
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d+)")  # of a second

T = TypeVar("T")


class PayloadFields:
    """Foreign data, read field by field. Everything raises SerializationError that begins with `context`."""

    def __init__(self, payload: Any, context: str) -> None:
        if not isinstance(payload, dict):
            raise SerializationError(f"{context} is {shown(payload)}, not an object")
        self._fields: Mapping[str, Any] = payload
        self._context = context

    def of(self, name: str, kind: type[T]) -> T:
        """A field of this type; it must be there."""
        if name not in self._fields:
            raise SerializationError(f"{self._context} has no {name}")
        value = self._fields[name]
        if type(value) is not kind:
            raise self._wrong(name, value, f"not {_KINDS[kind]}")
        return value

    def text(self, name: str) -> str:
        """Text that is not empty."""
        value = self.of(name, str)
        if not value:
            raise SerializationError(f"{self._context}: {name} is empty")
        return value

    def text_if_given(self, name: str) -> str:
        """Text; empty if it is absent."""
        return self.of(name, str) if name in self._fields else ""

    def count(self, name: str) -> int:
        """A whole number, 0 or more."""
        value = self.of(name, int)
        if value < 0:
            raise SerializationError(f"{self._context}: {name} is {value}, below 0")
        return value

    def count_if_given(self, name: str) -> int | None:
        """None if it is null, or absent as in records of version 0.1."""
        return None if self._fields.get(name) is None else self.count(name)

    def seconds(self, name: str) -> float:
        """A duration above 0."""
        value = self._fields.get(name)
        if isinstance(value, (int, float)) and value is not True and 0 < value < 1e9:  # NaN is not
            return float(value)
        raise self._wrong(name, value, "not a number of seconds")

    def names(self, name: str) -> tuple[str, ...]:
        """Texts; none if it is absent."""
        names = self._fields.get(name, [])
        if type(names) is not list or not all(isinstance(each, str) for each in names):
            raise self._wrong(name, names, "not a list of names")
        return tuple(names)

    def time(self, name: str) -> datetime:
        """A time with its zone."""
        text = self.of(name, str)
        try:
            time = datetime.fromisoformat(_FRACTION.sub(_microseconds, text.replace("Z", "+00:00")))
        except ValueError as error:
            raise self._wrong(name, text, "not an ISO 8601 time") from error
        if time.tzinfo is None:
            raise self._wrong(name, text, "a time without its zone")
        return time

    def _wrong(self, name: str, value: object, what: str) -> SerializationError:
        return SerializationError(f"{self._context}: {name} is {shown(value)}, {what}")


def _microseconds(fraction: re.Match[str]) -> str:
    """Six digits: Python 3.10 reads three or six, and no Z."""
    return f".{fraction[1][:6]:0<6}"
