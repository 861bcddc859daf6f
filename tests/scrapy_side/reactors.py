"""What a crawl can run on: Scrapy's settings for each kind."""

from __future__ import annotations

from typing import Any

import pytest
import scrapy

ASYNCIO = {"TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor"}
SELECT = {"TWISTED_REACTOR": "twisted.internet.selectreactor.SelectReactor"}
NONE = {"TWISTED_REACTOR_ENABLED": False}  # asyncio alone

RUNS_WITHOUT = scrapy.version_info >= (2, 15)

WITHOUT_REACTOR = pytest.param(
    NONE,
    id="no reactor",
    marks=pytest.mark.skipif(not RUNS_WITHOUT, reason="this Scrapy needs a reactor"),
)
"""Downloads by HTTP need aiohttp then; pages of `data:` need nothing."""

EACH = [pytest.param(ASYNCIO, id="asyncio"), pytest.param(SELECT, id="select"), WITHOUT_REACTOR]


def options(settings: dict[str, Any]) -> list[str]:
    """The options of the command line that set them."""
    return [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
