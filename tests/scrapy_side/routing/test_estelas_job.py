"""Under estela's variables every message is what it was before there were routes, keys and metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scrapy_side.routing.estelas_job import VARIABLES, messages

pytestmark = pytest.mark.processes


def test_a_job_of_estelas_publishes_byte_for_byte_what_it_did(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)

    assert messages() == Path(__file__).with_name("estelas_job.txt").read_text()
