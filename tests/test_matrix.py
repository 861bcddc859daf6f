"""`scripts/test-matrix` says what each Python's tests counted, and which were not there.

The interpreters are doubles here: a real one would need a virtual environment for each test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
_PYTHON = """#!/usr/bin/env bash
case "$*" in
    *version_info\\[:2\\]*) echo {version} ;;
    *"-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"-m pytest"*)
        echo "$*" > "asked-{version}"
        echo "FAILED tests/test_x.py::test_y"
        echo "====== {counts} ======"
        exit {code} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    for name in ("scripts/venv", "scripts/test-matrix", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def add_python(checkout: Path, version: str, counts: str, code: int) -> None:
    program = checkout.parent / "pythons" / f"python{version}"
    program.parent.mkdir(exist_ok=True)
    program.write_text(_PYTHON.format(version=version, counts=counts, code=code))
    program.chmod(0o755)


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts" / "test-matrix", *arguments],
        env={**os.environ, "PYTHONS": str(checkout.parent / "pythons")},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_each_has_a_line_with_its_counts_and_one_that_fails_fails_the_run(checkout: Path) -> None:
    add_python(checkout, "3.98", "5 passed in 0.10s", 0)
    add_python(checkout, "3.99", "1 failed, 4 passed in 0.20s", 1)

    done = run(checkout, "--only", "3.98", "--only", "3.99", "-k", "escaping")

    assert done.stdout.splitlines() == [
        "3.98  5 passed in 0.10s",
        "3.99  1 failed, 4 passed in 0.20s",
        "      FAILED tests/test_x.py::test_y",
        "      It ended with 1; all of its output is in .venvs/3.99.log",
    ], done.stderr
    assert done.returncode == 1
    assert (
        (checkout / "asked-3.98")
        .read_text()
        .endswith("--dist loadscope --no-loadscope-reorder -k escaping\n")
    )


def test_it_ends_well_if_all_do_and_says_which_were_not_there(checkout: Path) -> None:
    add_python(checkout, "3.98", "5 passed in 0.10s", 0)

    done = run(checkout, "--fast", "--only", "3.97", "--only", "3.98")

    assert done.returncode == 0
    assert "3.98  5 passed in 0.10s" in done.stdout
    assert "Not found, and so not tested: 3.97." in done.stdout
    assert "not servers and not processes" in (checkout / "asked-3.98").read_text()


def test_no_python_at_all_is_no_success(checkout: Path) -> None:
    done = run(checkout, "--only", "3.97")

    assert done.returncode == 1
    assert "not tested: 3.97" in done.stdout
