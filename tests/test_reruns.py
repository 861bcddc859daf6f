"""A test that fails in CI is run once more, and nobody can miss that it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reruns import MOST

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parent.parent

# A test that fails the first time: there is no file of its name yet.
AT_FIRST = """
    mark = Path(__file__).with_suffix(".{name}")
    before, _ = mark.exists(), mark.touch()
    print("this is what it printed")
    assert before, "the first failure"
"""
SERVER = """
@pytest.fixture(scope="module")
def server():
    mark = Path(__file__).with_suffix(".server")
    before, _ = mark.exists(), mark.touch()
    assert before, "the server did not start"
    return "there"
"""


def flaky(*names: str, head: str = "") -> str:
    head = f"import pytest\nfrom pathlib import Path\nfrom hypothesis import given, strategies\n{head}"
    return head + "".join(f"\ndef test_{name}():{AT_FIRST.format(name=name)}" for name in names)


def run(folder: Path, files: dict[str, str], *options: str, ci: str = "true") -> tuple[int, str]:
    """What pytest ends with and prints."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra --strict-markers\n")
    (folder / "conftest.py").write_text('pytest_plugins = ["tests.reruns"]\n')
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CI": ci},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture(autouse=True)
def _plugin() -> None:
    pytest.importorskip("pytest_rerunfailures", reason="it comes with the extra dev")


def test_one_that_passes_then_is_named_with_its_first_failure_and_a_developer_sees_it_fail(
    tmp_path: Path,
) -> None:
    code, out = run(tmp_path, {"test_a.py": flaky("one", "two") + "\ndef test_good(): pass\n"})
    (tmp_path / "test_a.one").unlink()
    without = run(tmp_path, {}, ci="")

    assert code == 0, out
    assert re.search(r"3 passed, 2 rerun", out)
    for name in ("one", "two"):
        assert f"FAILED AT FIRST test_a.py::test_{name}" in out
    assert out.count("AssertionError: the first failure") == 2
    assert len(re.findall(r"^this is what it printed$", out, re.MULTILINE)) == 2
    assert without[0] == 1
    assert "1 failed, 2 passed in " in without[1]


def test_too_many_fail_the_run(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(MOST + 1)]

    code, out = run(tmp_path, {"test_a.py": flaky(*names)})

    assert code == 1
    assert f"{MOST + 1} passed, {MOST + 1} rerun" in out
    assert f"The run fails: {MOST + 1} tests failed at first, more than {MOST}." in out


def test_promises_are_not_tried_again_and_what_a_module_shares_is_made_again(tmp_path: Path) -> None:
    """In several processes, as CI runs them. One fails twice, and a server starts at the second try."""
    uses = '\ndef test_{}(server): assert server == "there"\n'
    promises = {f"tests/{folder}/test_{folder}.py": flaky(folder) for folder in ("faults", "fuzz")}
    promises["test_a.py"] = flaky() + "\n@given(strategies.none())\ndef test_property(_):"
    promises["test_a.py"] += AT_FIRST.format(name="property") + "\ndef test_bad(): assert 0\n"
    shared = {"test_s.py": flaky(head=SERVER) + uses.format("one") + uses.format("two")}

    code, out = run(tmp_path, {**promises, **shared}, "--numprocesses", "2", "--dist", "loadfile")

    assert code == 1
    assert "4 failed, 2 passed, 2 rerun" in out, out
    assert sorted(re.findall(r"^FAILED AT FIRST \S+::test_(\w+)", out, re.MULTILINE)) == ["bad", "one"]
    assert out.count("AssertionError: the server did not start") == 1
