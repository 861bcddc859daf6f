"""The embedded queue over days of crawls, in small: `python -m bench.retention` is the same at full size."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.retention import month
from estela_queue_adapter import open_platform

pytestmark = pytest.mark.processes


@pytest.mark.usefixtures("workdir")
def test_with_a_retention_of_two_days_the_file_stays_as_large_as_two_days_are(tmp_path: Path) -> None:
    days = list(month(tmp_path, days=5, messages=1_000, retention="2d"))
    queue = open_platform("embedded", path=str(tmp_path / "queue.db"))
    kept = [message.offset for message in queue.read("items_topic")]

    one = days[0].after_drain
    assert days[1].after_drain > 1.7 * one
    assert max(day.after_drain for day in days) < 2.5 * one
    assert max(day.after_crawl for day in days) < 3.5 * one
    assert kept == list(range(3_000, 5_000))
