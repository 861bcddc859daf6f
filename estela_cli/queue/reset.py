"""`estela-queue reset`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from estela_cli.queue.opened import opened_queue, refuse
from estela_queue_adapter import Position, Subscription
from estela_queue_adapter.administration import Administration, Topic
from estela_terminal.commands import DataCommand
from estela_terminal.output import after_the_work, data_table, print_json, print_line, print_table
from estela_terminal.times import moment_of, shown_moment

EARLIEST, END = "earliest", "end"


class _Target(NamedTuple):
    """Where a group shall go on."""

    told: str
    moment: float | None = None
    """None: at one of the two ends."""


class _Move(NamedTuple):
    """Of one partition."""

    partition: int
    now: int | None
    then: int
    again: int
    """Messages that are read once more."""
    skipped: int
    """Messages that the group will never read."""


def _target(_context: click.Context, _parameter: click.Parameter, value: str) -> _Target:
    if value in (EARLIEST, END):
        return _Target(value)
    try:
        moment = moment_of(value, time.time())
    except ValueError as error:
        raise click.BadParameter(f"{error}; {EARLIEST} and {END} are the others") from None
    return _Target(shown_moment(moment), moment)


@click.command(cls=DataCommand)
@click.argument("topic")
@click.option("--to", "target", required=True, callback=_target, metavar="earliest|end|TIME",
              help="The first message there is; behind the last; or the first of a time: -1h, "
              "2026-11-01T00:00Z.")  # fmt: skip
@click.option("--group", envvar="QUEUE_PLATFORM_GROUP", show_envvar=True, default="",
              help="The consumer group.  [default: group_<topic>]")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def reset(*, topic: str, target: _Target, group: str, yes: bool, as_json: bool) -> None:
    """Have a group go on elsewhere in TOPIC; only shows what that means, without --yes.

    The group must have no members: stop its consumers first. A message that is read again is not stored
    twice. A time counts by the queue's own time of each message, and is UTC if it names no zone.
    """
    with opened_queue() as administration:
        [found] = administration.topics([topic])
        name = Subscription(topic=topic, group=group).group_id
        committed = _committed(administration, name, topic)
        moves = _moves(found, committed, _positions(administration, found, target))
        if yes:
            positions = [Position(topic, move.partition, move.then) for move in moves]
            administration.set_committed(name, positions)
    with after_the_work():
        if as_json:
            print_json(_as_json(topic, name, target, moves, done=yes))
        else:
            _print(topic, name, target, moves, done=yes)


def _committed(administration: Administration, group: str, topic: str) -> dict[int, int]:
    """What the group has committed there. Ends the command if its positions are not ours to change."""
    there = administration.groups([group])
    if not there:
        readers = [each.name for each in administration.groups() if _reads(administration, each.name, topic)]
        known = f"those that have read {topic}: {', '.join(readers)}" if readers else "none has read it"
        raise click.UsageError(f"there is no group {group}; {known}")
    if not there[0].reads:
        refuse(
            f"the group {group} is not one of consumers: its protocol is {there[0].protocol}, and what its "
            "positions mean only it knows"
        )
    if not there[0].is_empty:
        count = "members" if there[0].members is None else f"{there[0].members:,} member(s)"
        refuse(
            f"the group {group} has {count} now (state {there[0].state}): stop its consumers, then try again"
        )
    return {at.partition: at.offset for at in administration.committed(group) if at.topic == topic}


def _reads(administration: Administration, group: str, topic: str) -> bool:
    return any(at.topic == topic for at in administration.committed(group))


def _positions(administration: Administration, topic: Topic, target: _Target) -> dict[int, int]:
    if target.moment is not None:
        return {at.partition: at.offset for at in administration.first_since(topic.name, target.moment)}
    return {each.partition: each.end if target.told == END else each.beginning for each in topic.partitions}


def _moves(topic: Topic, committed: dict[int, int], then: dict[int, int]) -> list[_Move]:
    moves = []
    for each in topic.partitions:
        now, to = committed.get(each.partition), then[each.partition]
        # What the group would read next: its position may lie before what is left, or beyond the end.
        at = min(max(now or 0, each.beginning), each.end)
        moves.append(_Move(each.partition, now, to, max(0, at - to), max(0, to - at)))
    return moves


def _as_json(
    topic: str, group: str, target: _Target, moves: Sequence[_Move], *, done: bool
) -> dict[str, Any]:
    return {
        "topic": topic,
        "group": group,
        "to": target.told,
        "partitions": [move._asdict() for move in moves],
        "again": sum(move.again for move in moves),
        "skipped": sum(move.skipped for move in moves),
        "done": done,
    }


def _print(topic: str, group: str, target: _Target, moves: Sequence[_Move], *, done: bool) -> None:
    print_line(f"Group {group} on {topic}, to {target.told}:")
    table = data_table(numbers=("partition", "now", "then", "read again", "skipped"))
    for move in moves:
        now = "" if move.now is None else f"{move.now:,}"
        again, skipped = (f"{count:,}" if count else "" for count in (move.again, move.skipped))
        table.add_data_row(move.partition, now, f"{move.then:,}", again, skipped)
    print_table(table)
    again, skipped = (sum(getattr(move, name) for move in moves) for name in ("again", "skipped"))
    will = "will be" if done else "would be"
    if again:
        print_line(f"Up to {again:,} messages {will} read again; what of them is stored is not stored twice.")
    if skipped:
        print_line(
            f"Up to {skipped:,} messages {will} skipped: this group never reads, so never stores, them."
        )
    if not again and not skipped:
        print_line("The group is there already.")
    elif done:
        print_line(f"Done: the next consumer of {group} goes on there.")
    else:
        print_line("Nothing is changed yet; --yes does it.")
