"""Keys: the fields by which a dataset's documents are told apart, and what becomes of one that is there.

Two values are the same key if their texts are the same. The text of a value is what JSON would say of it, so
that it does not matter how the value travelled: as text, as a number, or as a type of BSON's.
"""

from __future__ import annotations

import enum
import hashlib
import math
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from estela_queue_adapter.errors import BadName
from estela_wire.dataset import Dataset, check_dataset
from estela_wire.shown import shown

MAX_KEY_FIELDS = 16
CHANGES_SUFFIX = "_changes"
"""Of the dataset beside a tracked one, which holds its changes."""

_ID_BYTES = 12
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?:(:\d\d)(?:\.(\d{1,6}))?)?)?(Z|[+-]\d\d:?\d\d(?::\d\d)?)?",
    re.ASCII,
)
_SHORT = 10**18  # integers below have digits that Python always writes
_SHORTEST_MOMENT = 10  # characters
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (without a zone, as what is subtracted)
_MILLISECOND = timedelta(milliseconds=1)


class OnExisting(str, enum.Enum):
    """What becomes of the document that has the key already."""

    KEEP = "keep"
    """It stays: the document is that of the oldest message, by its id."""
    REPLACE = "replace"
    """The document is that of the newest message."""
    UPDATE = "update"
    """Each field has the value of the newest message that carried it."""
    TRACK = "track"
    """As REPLACE, and each change is a document in the dataset of changes."""


class BadKey(ValueError):
    """A payload has no key: the text names the field and what is wrong with it."""


def key_id(names: Sequence[str], payload: Mapping[str, Any]) -> bytes:
    """The 12 bytes of `_id` for the key that `names` have in the payload, whatever their order.

    Raises BadKey.
    """
    if len(names) == 1:  # the usual one, without what several need
        [name] = names
        text = key_text(payload[name]) if name in payload else None
        texts = {name: text or _text_of(name, payload)}
    else:
        text, texts = None, {name: _text_of(name, payload) for name in sorted(names)}
    if not text and not any(texts.values()):
        raise BadKey(f"the key {', '.join(names)} is empty text")
    try:
        canonical = orjson.dumps(texts)
    except TypeError:  # a lone surrogate, which the store refuses later with a reason of its own
        canonical = repr(texts).encode(errors="surrogatepass")
    return hashlib.sha256(canonical).digest()[:_ID_BYTES]


def _text_of(name: str, payload: Mapping[str, Any]) -> str:
    try:
        value = payload[name]
    except KeyError:
        raise BadKey(f"the key field {shown(name)} is missing") from None
    text = key_text(value)
    if text is None:
        raise BadKey(f"the key field {shown(name)} is {_described(value)}")
    return text


def key_text(value: Any) -> str | None:
    """The text by which a key's value is compared; None if the value cannot be part of a key.

    Numbers without a fraction are integers (7.0 is 7), a decimal is its digits as they stand. A moment, a
    date and text in the form of ISO 8601 are the moment in UTC, to the millisecond, as BSON counts; a date is
    its midnight, and what has no time zone is in UTC.
    """
    kind = type(value)
    if kind is str:
        may_be_moment = len(value) >= _SHORTEST_MOMENT and value[4] == "-" and value[7] == "-"
        return (_moment_in(value) if may_be_moment else None) or value
    if kind is int:
        return str(value) if -_SHORT < value < _SHORT else _digits(value)
    if value is None:
        return None
    if kind is float:
        if value.is_integer():
            return _digits(int(value))
        return repr(value) if math.isfinite(value) else None
    if kind is bool:
        return "true" if value else "false"
    return _text_of_type(value)


def _text_of_type(value: Any) -> str | None:
    """The same for what JSON has no type for."""
    if isinstance(value, str):
        return key_text(str(value))
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else None
    if isinstance(value, datetime):
        return _moment(value, value.utcoffset() or timedelta())
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00"
    if isinstance(value, UUID):
        return str(value)
    if type(value) is bytes:  # a subclass may stand for something else
        try:
            return value.decode()
        except UnicodeDecodeError:
            return b64encode(value).decode()
    return _digits(int(value)) if isinstance(value, int) else None


def _digits(value: int) -> str | None:
    try:
        return str(value)
    except ValueError:  # thousands of digits, which Python does not write
        return None


def _moment_in(text: str) -> str | None:
    """The moment that the text is in ISO 8601; None if it is another text."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    day, minute, second, fraction, zone = found.groups()
    if zone and not minute:
        return None
    try:
        moment = datetime.fromisoformat(
            f"{day}T{minute or '00:00'}{second or ':00'}.{(fraction or '').ljust(6, '0')}"
        )
    except ValueError:  # the 31st of February
        return None
    return _moment(moment, _offset(zone))


def _offset(zone: str | None) -> timedelta:
    if not zone or zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(
        hours=int(digits[:2]),
        minutes=int(digits[2:4]),
        seconds=int(digits[4:] or 0),  # of local mean times
    )
    return -offset if zone[0] == "-" else offset


def _moment(moment: datetime, offset: timedelta) -> str:
    return moment_text((moment.replace(tzinfo=None) - _EPOCH - offset) // _MILLISECOND)


def moment_text(milliseconds: int) -> str:
    """The text of a moment, in milliseconds since 1970: ISO 8601 in UTC if its year is of four digits."""
    try:
        return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat()
    except OverflowError:  # no date of Python's
        return f"{milliseconds} ms since 1970"


def _described(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (float, Decimal)):
        return f"{value}, not a finite number"
    return "an integer of thousands of digits" if isinstance(value, int) else f"a {type(value).__name__}"


def changes_of(dataset: Dataset) -> Dataset:
    """The dataset of a tracked dataset's changes. Raises BadName if its name is too long."""
    return check_dataset(dataset.database, dataset.collection + CHANGES_SUFFIX)


def checked_key(names: Any) -> tuple[str, ...]:
    """The names of an envelope's key. Raises BadName if they are not some different texts."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadName(f"the key is {shown(names)}, not a list of field names")
    if not 0 < len(names) <= MAX_KEY_FIELDS or len(set(names)) < len(names):
        raise BadName(f"the key has {len(names)} fields; it needs 1 to {MAX_KEY_FIELDS} different ones")
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise BadName(f"the key is {shown(names)}, which is no text in UTF-8") from error
    return tuple(names)
