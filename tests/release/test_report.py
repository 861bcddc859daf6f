"""A check that fails is told with its reason, and counted."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from release.__main__ import installed
from release.contents import difference
from release.report import CheckFailed, Report, run


def test_what_failed_is_told_and_the_next_check_goes_on(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    report = Report(console)

    with report.check("first") as notes:
        notes.append("a note")
    with report.check("second"):
        run([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"], tmp_path)
    with report.check("third"):
        pass

    file = console.file
    assert isinstance(file, io.StringIO)
    told = file.getvalue()
    assert report.failed == ["second"]
    assert "ok     first" in told
    assert "a note" in told
    assert "FAILED second" in told
    assert "ended with 3:\n       the reason" in told
    assert "ok     third" in told


def test_a_command_that_is_not_there_or_hangs_is_a_failed_check(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="No such file"):
        run([tmp_path / "nothing"], tmp_path)
    with pytest.raises(CheckFailed, match="timed out"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, timeout=0.2)


def test_what_an_sdist_lacks_and_what_nobody_knows_are_told_apart() -> None:
    assert difference({"a", "b", "x"}, {"a", "b", "c"}) == (["c"], ["x"])


@pytest.mark.processes
def test_a_file_that_cannot_be_installed_is_a_failed_check_and_is_not_used(tmp_path: Path) -> None:
    report = Report(Console(file=io.StringIO()))

    environment = installed(tmp_path / "nothing-1.0-py3-none-any.whl", tmp_path / "venv", "it", report)

    assert environment is None
    assert report.failed == ["it: into an empty environment"]
