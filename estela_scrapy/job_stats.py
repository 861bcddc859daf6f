"""The stats of a job as estela's readers know them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scrapy.utils.serialize import ScrapyJSONEncoder

from estela_queue_adapter.serialization import serialize

_encode_as_scrapy = ScrapyJSONEncoder().default


def stats_payload(stats: Mapping[str, Any], spider: str, reason: str, now: datetime) -> bytes:
    """The payload of stream `stats` as JSON: every Scrapy stat, and what is reckoned from them.

    `reason` is why the spider closed. A stat that is no JSON is written as its text: one odd value must not
    cost a job all the others.
    """
    return serialize({**stats, **_reckoned(stats, spider, reason, now)}, _encode)


def _reckoned(stats: Mapping[str, Any], spider: str, reason: str, now: datetime) -> dict[str, Any]:
    seconds = _elapsed(stats, now)
    items, responses, requests = (
        _number(stats, name)
        for name in ("item_scraped_count", "response_received_count", "downloader/request_count")
    )
    return {
        "spider_name": spider,
        "status": reason,
        "finish_reason": reason,
        "elapsed_time_seconds": seconds,
        "items_per_minute": _ratio(60 * items, seconds),
        "pages_per_minute": _ratio(60 * responses, seconds),
        "time_per_page_seconds": _ratio(seconds, responses),
        "requests_per_item": _ratio(requests, items),
        "http_success_rate": min(100.0, _ratio(100 * _number(stats, "downloader/response_count"), requests)),
        "resources/peak_memory_bytes": _number(stats, "memusage/max"),
    }


def _elapsed(stats: Mapping[str, Any], now: datetime) -> float:
    """Scrapy sets it when the spider closes, which may be a moment after this is asked for."""
    if "elapsed_time_seconds" in stats:
        return _number(stats, "elapsed_time_seconds")
    start = stats.get("start_time")
    return max(0.0, (now - start).total_seconds()) if isinstance(start, datetime) else 0.0


def _number(stats: Mapping[str, Any], name: str) -> float:
    value = stats.get(name)
    return value if isinstance(value, (int, float)) else 0


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 2) if whole else 0.0


def _encode(value: Any) -> Any:
    try:
        return _encode_as_scrapy(value)
    except TypeError:
        return str(value)
