"""What a person sees: the progress while it runs, and the summary at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from estela_consumer.drain import DrainReport
from estela_consumer.errors import ExitCode
from estela_consumer.progress import COUNTS, KINDS, Snapshot

_DATASETS_SHOWN = 20
_TITLES = {
    "read": "read",
    "stored": "stored",
    "present": "already there",
    "dead_lettered": "dead letters",
    "tombstones": "tombstones",
    "gone": "gone unread",
}

_RARE = ("tombstones", "gone")  # a column only where there is something to say
_WIDTH_OF_A_FILE = 160  # columns, where the output is no terminal


def summary_json(snapshot: Snapshot, code: ExitCode) -> str:
    """The summary as one JSON object."""
    return json.dumps({**snapshot.as_json(), "exit": code.name, "exit_code": int(code)})


def summary(snapshot: Snapshot, code: ExitCode) -> RenderableType:
    """The summary as tables."""
    parts: list[RenderableType] = [_topics(snapshot)]
    if snapshot.datasets:
        parts += [Text(), _datasets(snapshot)]
    told = [Text(line, style="red") for line in _drain_lines(snapshot)]
    return Group(*parts, Text(), *told, _last_line(snapshot, code))


def running(snapshot: Snapshot) -> RenderableType:
    """One line for while it runs."""
    total, lag = snapshot.total, sum(snapshot.lag.values())
    counts = ", ".join(f"{total[name]:,} {_TITLES[name]}" for name in COUNTS if total[name] or name == "read")
    left = f", {lag:,} to come" if snapshot.lag else ""
    return Text(f"{counts}, {snapshot.rate:,.0f} a second{left}", style="cyan")


def output() -> Console:
    """Standard output: as wide as the terminal, and wide enough for names where it is none."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_A_FILE)


def print_summary(snapshot: Snapshot, code: ExitCode, *, as_json: bool) -> None:
    """The summary on standard output."""
    console = output()
    if as_json:
        console.out(summary_json(snapshot, code), highlight=False)
    else:
        console.print(summary(snapshot, code))


def _topics(snapshot: Snapshot) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("topic")
    names = [name for name in COUNTS if name not in _RARE or snapshot.total[name]]
    for name in names:
        table.add_column(_TITLES[name], justify="right")
    for topic, counts in snapshot.topics.items():
        table.add_row(topic, *(f"{counts[name]:,}" for name in names))
    return table


def _datasets(snapshot: Snapshot) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("dataset", overflow="fold")
    for kind in KINDS:
        table.add_column(_TITLES[kind], justify="right")
    for name, counts in list(snapshot.datasets.items())[:_DATASETS_SHOWN]:
        table.add_row(name, *(f"{counts[kind]:,}" for kind in KINDS))
    more = len(snapshot.datasets) - _DATASETS_SHOWN
    if more > 0:
        table.add_row(f"and {more:,} more", "", "", "")
    if any(snapshot.other_datasets.values()):
        table.add_row("written to earlier", *(f"{snapshot.other_datasets[kind]:,}" for kind in KINDS))
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
    told = ", ".join(map(str, sorted(numbers)))
    return f"partition {told}" if len(numbers) == 1 else f"partitions {told}"


def _last_line(snapshot: Snapshot, code: ExitCode) -> Text:
    line = f"{snapshot.seconds:.1f} s, {snapshot.rate:,.0f} messages a second"
    if code is not ExitCode.OK:
        line += f", exit {int(code)} ({code.name})"
    return Text(line, style="green" if code is ExitCode.OK else "red")
