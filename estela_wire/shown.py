"""A foreign value in the text of an error."""

from __future__ import annotations

from typing import Any

_LONGEST = 80  # characters


def shown(value: Any) -> str:
    """The value for people, cut short; never raises."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
