"""The workflows ask for no more than they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"  # of the extra `dev`

    done = subprocess.run(
        [zizmor, "--offline", ".github"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stdout
    assert "completed .github/workflows/test.yml" in done.stderr
