"""The workflows ask for no more than they need."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import yaml

from devservers.cpython import VERSION

ROOT = Path(__file__).parent.parent


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"  # of the extra `dev`

    done = subprocess.run(
        [zizmor, "--offline", ".github"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stdout
    assert "completed .github/workflows/test.yml" in done.stderr


def test_each_python_that_the_package_names_is_tested_here_and_there() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = re.findall(r"Python :: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    [default] = re.findall(r"versions=\((3[\d. ]+)\)", (ROOT / "scripts" / "test-matrix").read_text())

    assert len(named) == 5
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == named
    assert default.split() == named
    assert named[-1] == VERSION
    assert setup["options"]["python_requires"] == f">= {named[0]}"
