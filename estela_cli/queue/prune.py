"""`estela-queue prune`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click
from rich.filesize import decimal

from estela_cli.queue.opened import as_argument, opened_queue, refuse
from estela_queue_adapter.administration import Prunable, Pruned
from estela_terminal.commands import DataCommand
from estela_terminal.output import after_the_work, data_table, print_json, print_line, print_table
from estela_terminal.times import as_duration


@click.command(cls=DataCommand)
@click.argument("topics", nargs=-1, metavar="[TOPIC]...")
@click.option("--older-than", callback=as_duration, metavar="DURATION", help="Only what is older: 7d, 12h.")
@click.option("--partial", is_flag=True,
              help="If a group is behind: remove what every group has read, instead of nothing.")  # fmt: skip
@click.option("--without-group", is_flag=True,
              help="Of named topics that no group reads, such as dead letters: all.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def prune(
    *,
    topics: tuple[str, ...],
    older_than: int | None,
    partial: bool,
    without_group: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove from the embedded queue what every group has read; only shows it, without --yes.

    Of all topics, if none is named. Gives the disk back, while crawls and consumers go on. It refuses if a
    group has not read all that would be removed. What no group has ever read (dead letters, closing records)
    stays. ESTELA_RETENTION has estela-consume do so by itself.
    """
    if without_group and not topics:
        raise click.UsageError("--without-group needs the topics by name: what it removes is gone")
    before = None if older_than is None else time.time() - older_than
    with opened_queue() as administration:
        plans = administration.prunable(topics or None, before, without_group=without_group)
        if not partial:
            _refuse_if_behind(plans)
        pruned = None
        if yes:
            names = [plan.topic for plan in plans]
            pruned = administration.prune(names, before, without_group=without_group)
    with after_the_work():
        if as_json:
            print_json(_as_json(plans, pruned))
        else:
            _print(plans, pruned)


def _refuse_if_behind(plans: Sequence[Prunable]) -> None:
    behind = [(plan.topic, group, unread) for plan in plans for group, unread in plan.behind]
    if not behind:
        return
    told = ", ".join(
        f"{group} has not read {unread:,} messages of {topic}" for topic, group, unread in behind
    )
    topic, group, _ = behind[0]
    refuse(
        f"nothing is removed: {told}. Have them read (estela-consume {topic} --group {as_argument(group)} "
        f"--drain); or, if nobody uses that group any more, estela-queue groups --remove "
        f"{as_argument(group)}; or --partial removes only what every group has read"
    )


def _about(plan: Prunable) -> str:
    if plan.read_by_a_group:
        return ", ".join(f"{group} has still to read {unread:,}" for group, unread in plan.behind)
    return "no group reads it: gone for good" if plan.messages else "no group reads it: kept"


def _as_json(plans: Sequence[Prunable], pruned: Pruned | None) -> dict[str, Any]:
    return {
        "topics": [
            {
                "topic": plan.topic,
                "messages": plan.messages,
                "read_by_a_group": plan.read_by_a_group,
                "behind": dict(plan.behind),
            }
            for plan in plans
        ],
        "messages": sum(plan.messages for plan in plans) if pruned is None else pruned.messages,
        "bytes_before": None if pruned is None else pruned.bytes_before,
        "bytes_after": None if pruned is None else pruned.bytes_after,
        "done": pruned is not None,
    }


def _print(plans: Sequence[Prunable], pruned: Pruned | None) -> None:
    if not plans:
        print_line("The queue has no topics.")
        return
    table = data_table("topic", numbers=("to remove",))
    table.add_data_column("")
    for plan in plans:
        table.add_data_row(plan.topic, f"{plan.messages:,}", _about(plan))
    print_table(table)
    if not any(plan.messages for plan in plans):
        print_line("There is nothing to remove.")
    elif pruned is None:
        print_line("Nothing is removed yet; --yes does it.")
    else:
        print_line(
            f"{pruned.messages:,} messages removed; the queue takes {decimal(pruned.bytes_after)} on the "
            f"disk, {decimal(pruned.bytes_before)} before."
        )
