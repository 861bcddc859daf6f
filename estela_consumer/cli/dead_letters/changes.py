"""What sends letters back, or settles them: `replay`, `discard` and `edit`."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from estela_consumer.cli.dead_letters.counts import counted, print_counts
from estela_consumer.cli.dead_letters.edited_value import EditedValue
from estela_consumer.cli.dead_letters.selection import (
    discarded_option,
    not_empty,
    opened_reader,
    place_argument,
    selection,
    wanted_letters,
)
from estela_consumer.dead_letters.replay import DeadLetter, DeadLetterReader
from estela_queue_adapter.errors import QueueError
from estela_terminal.commands import DataCommand
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import after_the_work, print_line, say_error


@click.command(cls=DataCommand)
@click.argument("topic")
@selection
@discarded_option
def replay(
    topic: str, *, reasons: tuple[str, ...], places: tuple[str, ...], since: float | None, discarded: bool
) -> None:
    """Send letters back to TOPIC, each exactly once even if this is killed meanwhile.

    All of them, if nothing is selected. A message keeps its id, so that it is stored once. What is still
    wrong with it makes it a dead letter again.
    """
    with opened_reader(topic) as reader:
        done = reader.replay(wanted_letters(reasons, places, since), discarded=discarded)
    remaining = done.truncated + done.refused
    with after_the_work():
        print_line(f"{done.replayed:,} replayed to {topic}")
        if remaining:
            print_line(
                f"{remaining:,} remain: {done.truncated:,} cut short, {done.refused:,} refused by the queue"
            )
    sys.exit(ExitCode.DEAD_LETTERS if remaining else ExitCode.OK)


@click.command(cls=DataCommand)
@click.argument("topic")
@selection
@click.option("--because", required=True, metavar="TEXT", callback=not_empty,
              help="Why they never shall be stored; kept with them.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it.")
def discard(
    topic: str,
    *,
    reasons: tuple[str, ...],
    places: tuple[str, ...],
    since: float | None,
    because: str,
    yes: bool,
) -> None:
    """Settle letters without sending them back; only shows which, without --yes.

    All of them, if nothing is selected. They are not offered again, also if their messages are read again.
    `list --discarded` tells them and why, and `replay --discarded` sends them back after all, while the queue
    still has them. estela-verify goes on counting them as dead letters.
    """
    wanted = wanted_letters(reasons, places, since)
    with opened_reader(topic) as reader:
        counts = None if yes else counted(reader.letters(wanted))
        done = reader.discard(wanted, because) if yes else 0
    with after_the_work():
        if counts is None:
            print_line(f"{done:,} discarded of {topic}: {because}")
        elif not counts:
            print_line(f"{topic} has no such dead letters.")
        else:
            print_counts(counts)
            print_line(f"Nothing is discarded yet; --yes discards these {counts.total():,}.")


@click.command(cls=DataCommand)
@click.argument("topic")
@click.argument("place", type=place_argument, metavar="PARTITION:OFFSET")
@click.option("--value", "file", type=click.Path(), metavar="FILE",
              help="The value as it shall be; - is standard input.  [default: opens an editor]")  # fmt: skip
def edit(topic: str, place: str, file: str | None) -> None:
    """Send one letter back with a changed value: the one of the message that was at PARTITION:OFFSET.

    In $VISUAL or $EDITOR, or from a file. The value must be JSON. Key, headers and id of the message stay as
    they are. If the editor is left without a change, or with something else than JSON, nothing is sent, and
    what was written is kept.
    """
    with opened_reader(topic) as reader:
        letters = list(reader.letters(lambda letter: letter.place == place))
        if not letters:
            raise click.UsageError(f"{topic} has no dead letter of {place}; `export` names all there are")
        if len(letters) > 1:
            raise click.UsageError(f"{topic} has {len(letters)} dead letters of {place}: see `show`")
        [letter] = letters
        if not_whole := replace(letter, truncated=None).not_whole:
            raise click.UsageError(f"the dead letter of {place} {not_whole}; `edit` changes only the value")
        edited = EditedValue.from_editor(letter.data) if file is None else EditedValue.from_file(file)
        try:
            _send_edited(reader, letter, edited)
        except QueueError:
            say_error(f"Nothing is sent, and the dead letter stays as it is{edited.kept}")
            raise


def _send_edited(reader: DeadLetterReader, letter: DeadLetter, edited: EditedValue) -> None:
    if edited.is_like(letter.data) or not edited.data:
        edited.remove()
        if not edited.failed and edited.data:
            print_line("The value is as it was: nothing is sent.")
            return
        say_error(f"{edited.problem}. Nothing is sent, and the dead letter stays as it is")
        sys.exit(edited.code)
    if edited.problem:
        say_error(f"{edited.problem}. Nothing is sent, and the dead letter stays as it is{edited.kept}")
        sys.exit(edited.code)
    done = reader.replay(lambda found: found.letter_key == letter.letter_key, edited=edited.data)
    if not done.replayed:
        why = "the line above says why" if done.refused else "somebody has replayed or discarded it meanwhile"
        say_error(f"Nothing is sent: {why}{edited.kept}")
        sys.exit(ExitCode.DEAD_LETTERS)
    edited.remove()
    with after_the_work():
        print_line(f"1 replayed to {letter.origin.topic}, changed")
