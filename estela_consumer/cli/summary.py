"""What a person sees: the progress while it runs, and the summary at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from estela_consumer.pipeline.drain import DrainReport
from estela_consumer.pipeline.pace import Pace, shown_seconds
from estela_consumer.pipeline.progress import COUNTS, KINDS, Snapshot
from estela_terminal.bar import bar
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import (
    DataTable,
    after_the_work,
    as_text,
    data_table,
    print_json,
    print_table,
)

_DATASETS_SHOWN = 20
_TITLES = {
    "read": "read",
    "stored": "stored",
    "present": "already there",
    "superseded": "superseded",
    "dead_lettered": "dead letters",
    "tombstones": "tombstones",
    "gone": "gone unread",
}

_RARE = ("superseded", "tombstones", "gone")  # a column only if there is something to say


def summary_json(snapshot: Snapshot, code: ExitCode) -> dict[str, Any]:
    """The summary for machines."""
    return {**snapshot.as_json(), "exit": code.name, "exit_code": int(code)}


def summary(snapshot: Snapshot, code: ExitCode) -> list[RenderableType]:
    """The summary as tables."""
    parts: list[RenderableType] = [_topics(snapshot)]
    if snapshot.datasets:
        parts += ["", _datasets(snapshot)]
    drains = [as_text(line, style="red") for line in _drain_lines(snapshot)]
    return [*parts, "", *drains, _last_line(snapshot, code)]


def running(snapshot: Snapshot, pace: Pace, of: int | None) -> RenderableType:
    """While it runs: a bar, if it is a drain of so many messages, and a line.

    And an empty one, where the prompt appears if the process is killed.
    """
    total, remaining, seconds = snapshot.total, pace.remaining, pace.seconds_left
    counts = [f"{total[name]:,} {_TITLES[name]}" for name in COUNTS if total[name] or name == "read"]
    parts = [*counts, f"{pace.rate:,.0f} a second"]
    if remaining is not None:
        parts.append(f"{remaining:,} to come")
    if remaining and seconds is not None:
        parts.append(f"done in {shown_seconds(seconds)}" if of else f"caught up in {shown_seconds(seconds)}")
    line = as_text(", ".join(parts), style="cyan")
    if of and remaining is not None:
        return Group(bar(of - remaining, of), line, "")
    return Group(line, "")


def print_summary(snapshot: Snapshot, code: ExitCode, *, as_json: bool) -> None:
    """The summary on standard output."""
    with after_the_work():
        if as_json:
            print_json(summary_json(snapshot, code))
        else:
            print_table(*summary(snapshot, code))


def _topics(snapshot: Snapshot) -> DataTable:
    names = [name for name in COUNTS if name not in _RARE or snapshot.total[name]]
    table = data_table("topic", numbers=tuple(_TITLES[name] for name in names))
    for topic, counts in snapshot.topics.items():
        table.add_data_row(topic, *(f"{counts[name]:,}" for name in names))
    return table


def _datasets(snapshot: Snapshot) -> DataTable:
    kinds = [kind for kind in KINDS if kind not in _RARE or snapshot.total[kind]]
    table = data_table("dataset", numbers=tuple(_TITLES[kind] for kind in kinds))
    for name, counts in sorted(snapshot.datasets.items())[:_DATASETS_SHOWN]:
        table.add_data_row(name, *(f"{counts[kind]:,}" for kind in kinds))
    more = len(snapshot.datasets) - _DATASETS_SHOWN
    if more > 0:
        table.add_data_row(f"and {more:,} more", *("" for _ in kinds))
    if any(snapshot.other_datasets.values()):
        table.add_data_row("written to earlier", *(f"{snapshot.other_datasets[kind]:,}" for kind in kinds))
    return table


def _drain_lines(snapshot: Snapshot) -> Iterator[str]:
    """What kept the drain of each topic from its end, and what was lost on the way."""
    for topic, report in (snapshot.drains or {}).items():
        for partition, messages in sorted(report.gone.items()):
            yield f"{topic} partition {partition}: {messages:,} messages were gone before they were read"
        if report.committed_beyond_end:
            partitions = _partitions(report.committed_beyond_end)
            yield f"{topic} {partitions}: the group's position lay beyond the end (recreated, or cut short)"
        if report.open_transactions:
            yield f"{topic} {_partitions(report.open_transactions)}: a transaction is still open"
        if not report.drained:
            yield f"{topic}: not drained, {_remaining(report)}"


def _remaining(report: DrainReport) -> str:
    if report.remaining is None:
        return "nothing was read"
    return f"up to {sum(report.remaining.values()):,} messages remain in {_partitions(report.remaining)}"


def _partitions(numbers: Collection[int]) -> str:
    listed = ", ".join(map(str, sorted(numbers)))
    return f"partition {listed}" if len(numbers) == 1 else f"partitions {listed}"


def _last_line(snapshot: Snapshot, code: ExitCode) -> Text:
    line = f"{snapshot.seconds:.1f} s, {snapshot.rate:,.0f} messages a second"
    if code is not ExitCode.OK:
        line += f", exit {int(code)} ({code.name})"
    return as_text(line, style="green" if code is ExitCode.OK else "red")
