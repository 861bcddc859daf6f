"""Durations and moments as people give them to a command: `7d`, `-1h`, `2026-11-01T00:00Z`."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone

import click

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds."""

_DURATION = re.compile(r"([1-9][0-9]{0,9})([smhdw])")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def seconds_of(text: str) -> int:
    """`7d` in seconds. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration such as 90d, 12h, 30m or 60s")
    return int(found[1]) * UNITS[found[2]]


def shown_duration(seconds: int) -> str:
    """The same for people, in the largest unit that is exact."""
    unit = next(unit for unit, size in reversed(UNITS.items()) if seconds % size == 0)
    return f"{seconds // UNITS[unit]:,}{unit}"


def moment_of(text: str, now: float) -> float:
    """`1h` or `-1h` (so long ago), a date, or a date and time of ISO 8601; seconds since the epoch.

    UTC if it names no time zone. Raises ValueError for what is neither, and for the future.
    """
    text = text.strip()
    if _DURATION.fullmatch(text.removeprefix("-")):
        return now - seconds_of(text.removeprefix("-"))
    moment = _iso(text)
    if moment > now:
        raise ValueError(f"{text} is in the future; now it is {shown_moment(now)}")
    return moment


def time_of_iso(text: str) -> float | None:
    """Seconds since the epoch of what a program wrote; None if it is not a time."""
    try:
        return _iso(text)
    except ValueError:
        return None


def shown_moment(moment: float) -> str:
    """For people, in UTC: `2026-11-01T00:00:00Z`."""
    try:
        shown = _EPOCH + timedelta(seconds=moment)
    except OverflowError:
        return "before all time" if moment < 0 else "after all time"
    return shown.isoformat(timespec="seconds").replace("+00:00", "Z")


def _iso(text: str) -> float:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time such as -1h, 2026-11-01 or 2026-11-01T08:30Z")
    date, clock, fraction, zone = found.groups()
    parts = [date, "T", clock or "00:00", (fraction or "").ljust(7, "0") if fraction else ""]
    try:
        moment = datetime.fromisoformat("".join([*parts, "+00:00" if zone in (None, "Z") else zone]))
        return (moment - _EPOCH).total_seconds()
    except (ValueError, OverflowError) as error:  # the 31st of June, a zone of 99 hours
        raise ValueError(f"{text!r} is not a time: {error}") from error


def as_duration(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """The callback of an option that is a duration; in seconds."""
    if value is None:
        return None
    try:
        return seconds_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def as_moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """The callback of an option that is a moment in the past; in seconds since the epoch."""
    if value is None:
        return None
    try:
        return moment_of(value, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
