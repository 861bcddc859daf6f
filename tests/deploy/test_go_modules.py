"""What cannot be fetched is told by its name, and what is not what it should be is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from devservers import go_modules
from devservers.go_modules import FetchError
from tests.deploy.fetched import KEDA

pytestmark = [pytest.mark.deploy, pytest.mark.processes]


def test_a_registry_that_gives_nothing_is_asked_again_and_then_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GOPROXY", "off")
    told: list[float] = []
    monkeypatch.setattr(go_modules, "_wait", told.append)

    with pytest.raises(FetchError, match=r"^install example\.org/nothing@v1\.0\.0: .*GOPROXY=off"):
        go_modules.program("example.org/nothing", "v1.0.0")

    assert len(told) == 2
    assert not list(tmp_path.glob("**/nothing"))


def test_a_module_with_another_sum_is_not_used() -> None:
    path, version, checksum = KEDA

    with pytest.raises(FetchError, match=f"{path}@{version} has the sum .*, not h1:else"):
        go_modules.module(path, version, "h1:else")
    assert (go_modules.module(path, version, checksum) / "go.mod").exists()
