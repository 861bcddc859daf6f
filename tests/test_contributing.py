"""A newcomer's task: the code of CONTRIBUTING.md is written down, installed, and passes both contracts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
FILES = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL))

REGISTERED = """
from estela_consumer.stores import StoreSettings, open_store
from estela_queue_adapter import open_platform
print(open_platform("memory", name="mine").describe())
print(open_store(StoreSettings(url="memory://")).describe())
"""


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A folder with the newcomer's package, and the package installed in its folder `site`."""
    (tmp_path / "toys").mkdir()
    (tmp_path / "toys" / "__init__.py").touch()
    for name, code in FILES.items():
        (tmp_path / name).write_text(code)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(tmp_path / "site")]
    subprocess.run([*pip, *options, str(tmp_path)], check=True, timeout=300)
    return tmp_path


def python(toys: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(toys / "site"), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=toys,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.processes
def test_its_platform_and_its_store_are_registered_and_pass_both_contracts(toys: Path) -> None:
    suites = python(toys, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "toys")
    registered = python(toys, "-c", REGISTERED)

    assert suites.returncode == 0, suites.stdout
    skipped = re.findall(r"^SKIPPED \[(\d+)\] \S+: (.*)$", suites.stdout, re.MULTILINE)
    assert all(reason.startswith("declared: ") for _, reason in skipped)
    [passed] = re.findall(r"(\d+) passed, \d+ skipped", suites.stdout)
    assert int(passed) >= 40
    assert registered.stdout.splitlines() == [
        "the queue mine of this process",
        "the memory of this process",
    ], registered.stderr


@pytest.mark.parametrize("name", ["toys/platform.py", "toys/store.py"])
def test_its_platform_and_its_store_have_fewer_than_40_lines(name: str) -> None:
    assert len([line for line in FILES[name].splitlines() if line.strip()]) < 40


def test_the_files_that_it_names_are_there() -> None:
    named = re.findall(r"`((?:estela_\w+|tests|docs)/[\w/.]*)`", PAGE)

    assert len(named) >= 8
    assert [name for name in named if not (ROOT / name).exists()] == []
