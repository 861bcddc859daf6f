"""The stats of a job as estela's readers know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from typing_extensions import Self

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization import serialize
from estela_queue_adapter.serialization.conversion import simpler
from estela_queue_adapter.settings import as_number
from estela_terminal.printable import printable_logger

# How many requests an item may take for what part of the success rate; beyond, or without items: the least.
_EFFICIENCY = ((3, 1.0), (4, 0.95), (5, 0.90), (7, 0.80))
_LEAST_EFFICIENCY = 0.65
_INT64 = range(-(2**63), 2**63)  # the integers that MongoDB has

logger = printable_logger(__name__)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a job is measured by, beside its requests."""

    items: float = 0.0
    """How many items are expected; 0: there is no goal."""
    goal_weight: float = 0.7
    http_weight: float = 0.3

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """As estela's variables set it; what is not a number has no effect but a warning."""
        names = {
            "items": "ITEMS_EXPECTED",
            "goal_weight": "SUCCESS_RATE_GOAL_WEIGHT",
            "http_weight": "SUCCESS_RATE_HTTP_WEIGHT",
        }
        given = {}
        for field, name in names.items():
            if environ.get(name):
                try:
                    given[field] = max(0.0, as_number(environ[name]))
                except ValueError:
                    logger.warning("%s=%.80r is not a number, and has no effect.", name, environ[name])
        return cls(**given)


def stats_payload(
    stats: Mapping[Any, Any], spider: str, reason: str, now: datetime, goal: Goal | None = None
) -> bytes:
    """The payload of stream `stats` as JSON: every Scrapy stat, and the metrics computed from them.

    `reason` is why the spider closed. A key that is not a string becomes one, and a stat that is not JSON is
    written as its text: one odd value must not cost a job all the others.
    """
    computed = _computed(stats, spider, reason, now, goal or Goal())
    named = {_key(key): value for key, value in stats.items() if isinstance(key, str)}
    for key, value in stats.items():
        if not isinstance(key, str):
            named.setdefault(_key(key), value)
    return b"{%b}" % b",".join(_member(key, value) for key, value in {**named, **computed}.items())


def _computed(
    stats: Mapping[Any, Any], spider: str, reason: str, now: datetime, goal: Goal
) -> dict[str, Any]:
    """The metrics, by the rules of estela's own."""
    seconds = _elapsed(stats, now)
    items, pages, requests, responses = (
        _number(stats, name)
        for name in (
            "item_scraped_count",
            "response_received_count",
            "downloader/request_count",
            "downloader/response_count",
        )
    )
    http = min(100.0, _ratio(100 * responses, requests))
    per_item = _ratio(requests, items)
    efficiency = _efficiency(per_item) if items else _LEAST_EFFICIENCY
    achieved = _ratio(100 * items, goal.items)
    rate = goal.goal_weight * achieved + goal.http_weight * http if goal.items else http
    metrics = {
        "items_per_minute": _ratio(60 * items, seconds),
        "pages_per_minute": _ratio(60 * pages, seconds),
        "time_per_page_seconds": _ratio(seconds, pages),
        "requests_per_item": per_item,
        "http_success_rate": http,
        "efficiency_factor": efficiency,
        "goal_achievement": achieved,
        "success_rate": min(100.0, max(0.0, rate * efficiency)),
    }
    return {
        "spider_name": spider,
        "status": reason,
        "finish_reason": reason,
        "elapsed_time_seconds": int(seconds),
        "resources/peak_memory_bytes": _number(stats, "memusage/max"),
        **{name: round(value, 2) for name, value in metrics.items()},
    }


def _efficiency(requests_per_item: float) -> float:
    return next((factor for most, factor in _EFFICIENCY if requests_per_item <= most), _LEAST_EFFICIENCY)


def _elapsed(stats: Mapping[Any, Any], now: datetime) -> float:
    """Scrapy sets it when the spider closes, unless its own extension for that is switched off."""
    if "elapsed_time_seconds" in stats:
        return _number(stats, "elapsed_time_seconds")
    start = stats.get("start_time")
    return max(0.0, (now - start).total_seconds()) if isinstance(start, datetime) and start.tzinfo else 0.0


def _number(stats: Mapping[Any, Any], name: str) -> float:
    value = stats.get(name)
    if isinstance(value, (int, float)):
        try:
            return max(0, value) if as_number(value) else 0
        except (ValueError, OverflowError):  # no finite number
            pass
    return 0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _member(key: str, value: Any) -> bytes:
    """`"key":value`, whatever they are."""
    name = serialize(key)
    try:
        return b"%b:%b" % (name, serialize(_storable(value), _encode))
    except (SerializationError, RecursionError):  # in a circle, or deeper than anyone follows
        return b"%b:%b" % (name, serialize(_text(value)))


def _storable(value: Any) -> Any:
    """The value with keys that are strings and without what is JSON and MongoDB cannot store."""
    if isinstance(value, dict):
        return {_key(key): _storable(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(part) for part in value]
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, (bytes, bytearray)):
        return value.decode(errors="backslashreplace")
    return str(value) if isinstance(value, int) and value not in _INT64 else value


def _encode(value: Any) -> Any:
    found = simpler(value)
    return _text(value) if found is NotImplemented else _storable(found)


def _key(value: Any) -> str:
    return _text(value).replace("\0", "\\x00")


def _text(value: Any) -> str:
    try:
        return _utf8(str(value))
    except Exception as error:  # noqa: BLE001  (it is somebody else's __str__, which may raise anything)
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
