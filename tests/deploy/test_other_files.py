"""Compose's own schema takes compose.yaml, and actionlint the workflows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from devservers.prometheus import promtool
from tests.conftest import or_skip
from tests.deploy.fetched import actionlint
from tests.deploy.prometheus_rule import ROOT


@pytest.mark.deploy
@pytest.mark.processes
def test_the_compose_specification_takes_compose_yaml(tmp_path: Path) -> None:
    checker = str(Path(sys.executable).parent / "check-jsonschema")
    checked = [checker, "--builtin-schema", "vendor.compose-spec"]
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((ROOT / "compose.yaml").read_text().replace("stop_grace_period", "stop_grace"))

    done, refused = (
        subprocess.run([*checked, file], capture_output=True, text=True, timeout=60, check=False)
        for file in (ROOT / "compose.yaml", wrong)
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert refused.returncode == 1
    assert "stop_grace" in refused.stdout


@pytest.mark.deploy
@pytest.mark.processes
def test_actionlint_finds_nothing_in_the_workflows() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

    done = subprocess.run(
        [actionlint(), *workflows],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert len(workflows) >= 2
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.processes
def test_prometheus_takes_composes_configuration() -> None:
    with or_skip("promtool"):
        program = promtool()

    done = subprocess.run(
        [program, "check", "config", "--syntax-only", ROOT / "deploy" / "compose" / "prometheus.yaml"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
