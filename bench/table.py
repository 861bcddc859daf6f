"""An outcome for people: on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.outcome import Outcome, Side


def table(outcome: Outcome) -> RenderableType:
    """For the terminal."""
    sides = Table(title=f"{outcome.bench}: {outcome.messages:,} messages", title_justify="left", box=None)
    sides.add_column("side")
    for title in ("unit", "min", "median", "max"):
        sides.add_column(title, justify="right")
    for side in outcome.sides:
        sides.add_row(*_cells(side))
    lines = [
        Text(f"{ratio.told}: {ratio.value:.2f}{ratio.unit}, goal {ratio.goal_text} {ratio.miss}")
        for ratio in outcome.ratios
    ]
    return Group(sides, *lines, Text())


def goals_table(outcomes: Sequence[Outcome]) -> RenderableType:
    """Every goal for the terminal, with what was found."""
    rows = Table(title="goals", title_justify="left", box=None)
    for title in ("bench", "measured", "found", "goal", ""):
        rows.add_column(title, justify="right" if title in ("found", "goal") else "left")
    for outcome in outcomes:
        for ratio in outcome.ratios:
            rows.add_row(
                outcome.bench,
                ratio.told,
                f"{ratio.value:.2f}{ratio.unit}",
                ratio.goal_text,
                ratio.miss or "met",
            )
    return rows


def markdown(outcome: Outcome) -> str:
    """For docs/performance.md."""
    sides = ["| side | unit | min | median | max |", "|---|---|---:|---:|---:|"]
    sides += [f"| {' | '.join(_cells(side))} |" for side in outcome.sides]
    facts = outcome.facts
    where = f", {facts['cores']:.0f} cores with a load of {facts['load']:.0f}" if "load" in facts else ""
    return f"{outcome.messages:,} messages, rounds: {len(outcome.sides[0].values)}{where}\n\n" + "\n".join(
        sides
    )


def goals(outcomes: list[Outcome]) -> str:
    """One row for each goal, in Markdown."""
    rows = ["| bench | measured | found | goal | |", "|---|---|---:|---:|---|"]
    rows += [
        f"| {outcome.bench} | {ratio.told} | {ratio.value:.2f}{ratio.unit} | {ratio.goal_text} | "
        f"{ratio.miss or 'met'} |"
        for outcome in outcomes
        for ratio in outcome.ratios
    ]
    return "\n".join(rows)


def figure(value: float) -> str:
    """As many digits as say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cells(side: Side) -> list[str]:
    return [side.name, side.unit, *(figure(v) for v in (min(side.values), side.median, max(side.values)))]
