"""A new Scrapy project with the practice sites and a real MongoDB, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.runner import Runner
from tests.pages.sites import Sites


@pytest.fixture
def sites() -> Iterator[Sites]:
    with Sites() as sites:
        yield sites


@pytest.fixture
def project(workdir: Path, sites: Sites, mongodb: str, unique: str) -> Iterator[Runner]:
    runner = Runner(workdir, sites, mongodb, unique)
    runner.start()
    yield runner
    runner.drop()
