"""The doctor's report, for people and for machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType

from estela_cli.doctor.findings import Finding, Report, State, Value
from estela_terminal.output import DataTable, as_text, data_table, output_width

_WIDTH_OF_A_TABLE = 100  # columns
_STYLES = {State.OK: "green", State.NOTE: "yellow", State.PROBLEM: "red"}


def as_table(report: Report) -> Iterator[RenderableType]:
    """Versions, settings, what was checked, and what to do next."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    yield as_text(versions)
    yield ""
    yield from _settings(report.values)
    yield ""
    yield _checks(report.findings)
    yield ""
    yield as_text(_sentence(report), "red" if report.problems else "green")
    if report.next_steps:
        yield as_text("Next:")
        yield from (as_text(f"  {step}") for step in report.next_steps)


def as_json(report: Report) -> dict[str, Any]:
    """The same."""
    return {
        "versions": report.versions,
        "settings": [
            {"name": value.name, "value": value.shown, "from": value.origin} for value in report.values
        ],
        "checks": [
            {**dataclasses.asdict(finding), "state": finding.state.value.lower()}
            for finding in report.findings
        ],
        "next": report.next_steps,
        "exit": report.code.name,
        "exit_code": int(report.code),
    }


def _settings(values: Sequence[Value]) -> Iterator[RenderableType]:
    """A table, or if that would break the names, each on lines of its own."""
    table = data_table("setting", "value", "from")
    for value in values:
        table.add_data_row(value.name, value.shown, value.origin)
    if output_width() >= _WIDTH_OF_A_TABLE:
        yield table
        return
    for value in values:
        yield as_text(value.name, "bold")
        yield as_text(f"  {value.shown}")
        yield as_text(f"  from: {value.origin}")


def _checks(findings: Sequence[Finding]) -> DataTable:
    table = DataTable(box=None, show_header=False, pad_edge=False)
    table.add_data_column("")
    table.add_data_column("")
    for finding in findings:
        state = finding.state
        table.add_row(as_text(state.value, _STYLES[state]), as_text(f"{finding.subject}: {finding.told}"))
        if finding.advice:
            table.add_data_row("", f"-> {finding.advice}")
    return table


def _sentence(report: Report) -> str:
    number = len(report.problems)
    if not number:
        return "All that was checked is well."
    return f"{number} problem{'s' if number > 1 else ''} to correct."
