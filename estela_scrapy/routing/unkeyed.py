"""Items without their key, as the consumer will find them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from estela_wire.keys import key_text
from estela_wire.typed_values import ExtendedJson

_HELD = {"$date", "$oid", "$uuid", "$numberLong"}
"""The types, but for decimals and bytes, that may be part of a key whatever they hold."""


def unkeyed_in(names: Sequence[str], payload: bytes) -> list[str]:
    """The fields of the key that the payload does not have, or that hold what can be no part of one."""
    written = json.loads(payload)  # which reads NaN too
    is_typed = isinstance(payload, ExtendedJson)
    texts = {name: _text_of(written.get(name), is_typed) for name in names}
    unkeyed = [name for name, text in texts.items() if text is None]
    return unkeyed or ([] if any(texts.values()) else list(names))


def _text_of(value: Any, is_typed: bool) -> str | None:
    """What tells the value apart, roughly; empty if it is empty, None if it cannot be part of a key."""
    if is_typed and isinstance(value, dict) and len(value) == 1:
        ((name, held),) = value.items()
        if name == "$numberDecimal":
            return key_text(Decimal(held))
        if name == "$binary":
            return str(held["base64"])
        return str(held) if name in _HELD else None
    return key_text(value)
