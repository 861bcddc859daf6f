"""What differs between two contents of a document, and the way back."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import bson
from bson.binary import USER_DEFINED_SUBTYPE, Binary

from estela_wire.canonical import canonical

_MAX_VALUE = 64 * 1024  # bytes of BSON; of a larger value a difference has a digest alone
_MAX_VALUES = 256 * 1024  # bytes of BSON of all values of one difference; beyond, the largest are digests
_DIGEST_BYTES = 16


class Difference(NamedTuple):
    """The fields that differ. A field is missing on the side on which the content does not have it."""

    before: dict[str, Any]
    after: dict[str, Any]


def difference(before: dict[str, Any], after: dict[str, Any]) -> Difference | None:
    """What differs between two contents; None if nothing does, whatever the order of their fields."""
    names = [
        name
        for name in {**before, **after}
        if name not in before or name not in after or not same_value(before[name], after[name])
    ]
    if not names:
        return None
    found = Difference(
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names if name in after},
    )
    return _bounded(found)


def undone(content: dict[str, Any], change: Difference) -> dict[str, Any]:
    """The content before the change, made of the content after it."""
    kept = {name: value for name, value in content.items() if name not in change.after}
    return {**kept, **change.before}


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of a field are the same; one of them may be a digest."""
    if one is other:
        return True
    if _is_digest(one) or _is_digest(other):
        return bool(_digest(one) == _digest(other))
    if type(one) is not type(other):
        return False
    if type(one) is str:
        return bool(one == other)
    return canonical({"": one}) == canonical({"": other})


def _bounded(found: Difference) -> Difference:
    sizes = sorted(
        ((_size(value), side, name) for side in found for name, value in side.items()),
        key=lambda entry: entry[0],
        reverse=True,
    )
    total = sum(size for size, _, _ in sizes)
    for size, side, name in sizes:
        if size <= _MAX_VALUE and total <= _MAX_VALUES:
            break
        side[name] = _digest(side[name])
        total -= size
    return found


def _size(value: Any) -> int:
    return len(value) if type(value) is str else len(bson.encode({"": value}))


def _is_digest(value: Any) -> bool:
    return isinstance(value, Binary) and value.subtype == USER_DEFINED_SUBTYPE and len(value) == _DIGEST_BYTES


def _digest(value: Any) -> Any:
    """What stands for a value that is too large for a difference: 16 bytes of its SHA-256."""
    if _is_digest(value):
        return value
    content = f"{type(value).__name__}:".encode() + canonical({"": value})
    return Binary(hashlib.sha256(content).digest()[:_DIGEST_BYTES], USER_DEFINED_SUBTYPE)
