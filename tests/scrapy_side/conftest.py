"""The site that the crawls visit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scrapy_side.crawls import site


@pytest.fixture
def base(workdir: Path) -> Iterator[str]:
    with site() as url:
        yield f"base={url}"
