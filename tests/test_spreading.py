"""Tests that share what is made once run in one process, and what is short comes last."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.spreading import is_together

MODULES = sorted(Path(__file__).parent.rglob("test_*.py"))
SHARED = {"class", "module", "package", "session"}


def scopes(path: Path) -> set[object]:
    """Of the fixtures of a module, however they are written."""
    return {
        keyword.value.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and "fixture" in ast.dump(decorator.func)
        for keyword in decorator.keywords
        if keyword.arg == "scope" and isinstance(keyword.value, ast.Constant)
    }


def test_each_module_whose_fixtures_are_made_once_stays_together_and_most_others_do_not() -> None:
    expected = {path for path in MODULES if scopes(path) & SHARED}
    together = {path for path in MODULES if is_together(path)}

    assert len(expected) > 5
    assert expected | {Path(__file__).with_name("test_benches.py")} <= together
    assert len(together) < len(MODULES) / 4


@pytest.mark.parametrize(
    "head", ['@pytest.fixture(scope="{}")', '    @pytest.fixture(autouse=True, scope="{}")']
)
@pytest.mark.parametrize("scope", sorted(SHARED))
def test_a_fixture_is_found_wherever_it_stands(tmp_path: Path, head: str, scope: str) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(f"{head.format(scope)}\ndef server(): ...\n")

    assert is_together(path)
