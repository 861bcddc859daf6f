"""In CI a test that fails is run once more, and the run names it with its first failure.

It is a net for accidents of a busy machine, and hides none: each that is named here is a fault to be found.
Whatever states a promise for all inputs or all moments is never run again: one failure refutes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MOST = 3
"""Tests of a run that may fail at first; if there are more, the run fails."""
NEVER = ("tests/faults", "tests/fuzz")
"""Folders of tests that are not run again, beside the property tests."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("CI") and config.pluginmanager.hasplugin("rerunfailures"):
        for item in filter(_may_fail_at_first, items):
            item.add_marker(pytest.mark.flaky(reruns=1))


def _may_fail_at_first(item: pytest.Item) -> bool:
    function = getattr(item, "function", None)
    states_a_property = getattr(function, "is_hypothesis_test", False)
    folder = item.path.parent
    root = item.config.rootpath
    return not states_a_property and not any(folder.is_relative_to(root / Path(each)) for each in NEVER)


def _failed_at_first(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    return [] if reporter is None else list(reporter.stats.get("rerun", []))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if len(_failed_at_first(session.config)) > MOST and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = _failed_at_first(terminalreporter.config)
    if not reports:
        return
    terminalreporter.section("failed at first, and were run once more")
    for report in reports:
        terminalreporter.section(report.nodeid, "-")
        terminalreporter.line(report.longreprtext)
        for name, text in report.sections:
            terminalreporter.section(name, "-")
            terminalreporter.line(text)
    for report in reports:
        terminalreporter.line(f"FAILED AT FIRST {report.nodeid}")
    if len(reports) > MOST:
        terminalreporter.line(f"The run fails: {len(reports)} tests failed at first, more than {MOST}.")
