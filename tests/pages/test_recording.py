"""The picture in README.md shows what the demo does today."""

from __future__ import annotations

import pytest

from tests.pages.recording import FILE, record, structure

pytestmark = pytest.mark.processes


def test_the_picture_shows_what_the_commands_print() -> None:
    assert structure(FILE.read_text()) == structure(record()), "it is stale: run scripts/record"


def test_the_picture_loads_nothing_and_runs_nothing() -> None:
    picture = FILE.read_text()

    assert "url(http" not in picture
    assert "<script" not in picture
    assert "xlink:href" not in picture
