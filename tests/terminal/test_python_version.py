"""On a Python that is too old, one line says so: whoever imports us, and with each command."""

from __future__ import annotations

import ast
import configparser
import glob
import os
import subprocess
import sys
from pathlib import Path

import pytest

from estela_terminal import python_version

ROOT = Path(__file__).parents[2]
IMPORT_NONE_OF_OURS = {"estela_pages", "estela_terminal"}  # and are imported by those who have asked
PACKAGES = sorted({path.parent.name for path in ROOT.glob("*/py.typed")} - IMPORT_NONE_OF_OURS)
READ_BEFORE = [
    "consumer.py",
    "estela_terminal/__init__.py",
    "estela_terminal/python_version.py",
    *(f"{package}/__init__.py" for package in PACKAGES),
]
"""What an old Python reads until it is told."""


def old_pythons() -> list[str]:
    """Those that pyenv has here; elsewhere there may be none."""
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    return [path for minor in (6, 8, 9) for path in glob.glob(f"{root}/versions/3.{minor}.*/bin/python")[:1]]


def program(name: str) -> str:
    """As pip writes it for an entry point."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    [entry] = [
        line.partition("=")[2].strip()
        for line in setup["options.entry_points"]["console_scripts"].splitlines()
        if line.partition("=")[0].strip() == name
    ]
    module, _, function = entry.partition(":")
    return f"from {module} import {function}\n{function}()\n"


def run(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([python, *arguments], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("path", READ_BEFORE)
def test_an_old_python_can_read_what_tells_it(path: str) -> None:
    ast.parse((ROOT / path).read_text(), feature_version=(3, 7))


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_asks_before_it_imports_anything_else(package: str) -> None:
    imports = [
        node
        for node in ast.parse((ROOT / package / "__init__.py").read_text()).body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and ast.unparse(node) != "import sys"
    ]

    assert [ast.unparse(node) for node in imports[:2]] == [
        "from estela_terminal.python_version import check_python",
        "check_python()",
    ]


def test_the_lowest_version_is_the_one_that_pip_is_told() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")

    assert setup["options"]["python_requires"] == f">= {'.'.join(map(str, python_version.LOWEST))}"


def test_an_import_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    monkeypatch.setattr(sys, "argv", ["scrapy", "crawl"])

    with pytest.raises(ImportError, match=r"needs Python 3\.10 or later, and this is Python 3\.9\.18 at"):
        python_version.check_python()


@pytest.mark.parametrize("name", ["estela-consume", "estela-outbox.exe", "consumer.py"])
def test_a_command_ends_with_that_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18, "final", 0))
    monkeypatch.setattr(sys, "argv", [str(Path("bin") / name), "x"])

    with pytest.raises(SystemExit) as end:
        python_version.check_python()

    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.processes
@pytest.mark.skipif(not old_pythons(), reason="pyenv has no old Python here")
@pytest.mark.parametrize("name", ["estela-consume", "estela-outbox", "estela-verify"])
def test_a_real_old_python_prints_one_line_and_no_traceback(name: str, tmp_path: Path) -> None:
    script = tmp_path / name
    script.write_text(program(name))

    for python in old_pythons():
        done = run(python, str(script), "--help")

        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.splitlines()
        assert line.startswith("Error: estela-scrapy needs Python 3.10 or later, and this is Python 3.")
        assert run(python, "-c", "import estela_scrapy").stderr.splitlines()[-1].startswith("ImportError: ")
