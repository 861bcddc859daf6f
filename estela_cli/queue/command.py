"""`estela-queue`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from estela_cli.queue.lags import PartitionLag, lags_of
from estela_cli.queue.opened import MEANINGS, opened_queue, refuse
from estela_cli.queue.prune import prune
from estela_cli.queue.reset import reset
from estela_config.options import env_file_option, log_notes
from estela_queue_adapter import queue_noisy_libraries
from estela_queue_adapter.administration import Administration, Group
from estela_terminal.commands import DataGroup
from estela_terminal.exit_codes import exit_codes_text
from estela_terminal.logs import set_up_logs
from estela_terminal.output import after_the_work, data_table, print_json, print_line, print_table


@click.group(
    cls=DataGroup,
    epilog=exit_codes_text(MEANINGS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@env_file_option
def queue() -> None:
    """Look at the queue: its topics, its consumer groups, and how far these are behind.

    And have a group go on elsewhere, or remove what every group has read. What changes something is only
    shown without --yes. The queue is configured by QUEUE_PLATFORM and QUEUE_PLATFORM_* (see
    docs/configuration.md).
    """
    set_up_logs(libraries=queue_noisy_libraries)
    log_notes()


queue.add_command(reset)
queue.add_command(prune)


@queue.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def topics(*, as_json: bool) -> None:
    """The topics, and how many messages are in them."""
    with opened_queue() as administration:
        found = administration.topics()
    if as_json:
        for topic in found:
            ranges = [
                {"partition": each.partition, "beginning": each.beginning, "end": each.end}
                for each in topic.partitions
            ]
            print_json({"topic": topic.name, "messages": topic.messages, "partitions": ranges})
        return
    if not found:
        print_line("The queue has no topics.")
        return
    table = data_table("topic", numbers=("partitions", "messages"))
    for topic in found:
        table.add_data_row(topic.name, len(topic.partitions), f"{topic.messages:,}")
    print_table(table)


@queue.command()
@click.option("--remove", metavar="GROUP", help="Forget this group and its positions, if it has no members.")
@click.option("--yes", is_flag=True, help="With --remove: do it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def groups(*, remove: str | None, yes: bool, as_json: bool) -> None:
    """The consumer groups: whether somebody is in them, what they read, and their lag."""
    if yes and remove is None:
        raise click.UsageError("--yes belongs to --remove")
    with opened_queue() as administration:
        found = administration.groups(None if remove is None else [remove])
        if remove is not None:
            _check_removable(found, remove)
        lags = lags_of(administration, [group.name for group in found if group.reads], None)
        if remove is not None and yes:
            administration.remove_group(remove)
    with after_the_work():
        _print_groups(found, lags, as_json=as_json)
        if remove is not None and not as_json:
            print_line(_removal(remove, lags, done=yes))


def _check_removable(found: Sequence[Group], name: str) -> None:
    if not found:
        raise click.UsageError(f"there is no group {name}; `estela-queue groups` shows what there is")
    if not found[0].is_empty:
        refuse(f"the group {name} has members now (state {found[0].state}): stop them, then try again")


def _removal(name: str, lags: Sequence[PartitionLag], *, done: bool) -> str:
    unread = sum(each.lag or 0 for each in lags)
    kept = f", and {unread:,} messages are no longer kept for it" if unread else ""
    if done:
        return f"Removed{kept}. A consumer of {name} would begin with the first message there is."
    return f"Nothing is removed yet; --yes removes {name}{kept}."


def _print_groups(found: Sequence[Group], lags: Sequence[PartitionLag], *, as_json: bool) -> None:
    rows = [(group, [each for each in lags if each.group == group.name]) for group in found]
    if as_json:
        for group, read in rows:
            topics = sorted({each.topic for each in read})
            print_json(
                {
                    "group": group.name,
                    "state": group.state,
                    "members": group.members,
                    "protocol": group.protocol,
                    "topics": topics,
                    "lag": sum(each.lag or 0 for each in read) if group.reads else None,
                }
            )
        return
    if not rows:
        print_line("The queue has no groups.")
        return
    table = data_table("group", "state", "reads", numbers=("members", "lag"))
    for group, read in rows:
        topics = sorted({each.topic for each in read})
        members = "?" if group.members is None else f"{group.members:,}"
        behind = f"{sum(each.lag or 0 for each in read):,}" if group.reads else ""
        table.add_data_row(
            group.name,
            group.state,
            ", ".join(topics) if group.reads else f"({group.protocol})",
            members,
            behind,
        )
    print_table(table)


@queue.command()
@click.argument("topics", nargs=-1, metavar="[TOPIC]...")
@click.option("--group", help="Only this one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def lag(*, topics: tuple[str, ...], group: str | None, as_json: bool) -> None:
    """How far each group is behind, by partition; of all topics, if none is named."""
    with opened_queue() as administration:
        found = lags_of(administration, _names(administration, group), topics or None)
    if as_json:
        for each in found:
            print_json(each.as_json())
        return
    if not found:
        print_line("No group has committed anything there.")
        return
    table = data_table("group", "topic", numbers=("partition", "committed", "end", "lag"))
    for each in found:
        table.add_data_row(
            each.group,
            each.topic,
            each.partition,
            *("" if number is None else f"{number:,}" for number in (each.committed, each.end, each.lag)),
        )
    print_table(table)


def _names(administration: Administration, group: str | None) -> list[str]:
    found = administration.groups(None if group is None else [group])
    if group is not None and not found:
        raise click.UsageError(f"there is no group {group}; `estela-queue groups` shows what there is")
    return [each.name for each in found if each.reads]


def main() -> None:
    """Entry point of the console script."""
    queue()
