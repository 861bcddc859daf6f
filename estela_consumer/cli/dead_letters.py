"""`estela-dead-letters`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from estela_consumer.cli import logs
from estela_consumer.dead_letters import SUFFIX
from estela_consumer.errors import ExitCode, Reason
from estela_consumer.letters import Letter, Mailbox
from estela_consumer.report import output
from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import ConfigurationError, QueueError, SerializationError

_Command: TypeAlias = Callable[..., Any]
_Wanted: TypeAlias = Callable[[Letter], bool]


def _place(value: str) -> str:
    partition, _, offset = value.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise click.BadParameter(f"{value!r} is not PARTITION:OFFSET, such as 0:42")
    return value


def _selection(command: _Command) -> _Command:
    """The options that say which letters."""
    reasons = [reason.value for reason in Reason]
    command = click.option(
        "--at", "places", multiple=True, type=_place, metavar="PARTITION:OFFSET",
        help="Only the letter of the message that was there; may be given again.",
    )(command)  # fmt: skip
    return click.option(
        "--reason",
        "reasons",
        multiple=True,
        type=click.Choice(reasons),
        help="Only these; may be given again.",
    )(command)


def _wanted(reasons: tuple[str, ...], places: tuple[str, ...]) -> _Wanted:
    return lambda letter: (not reasons or letter.reason in reasons) and (not places or letter.place in places)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def dead_letters() -> None:
    """Look at messages that could not be stored, and send them back once their cause is mended.

    TOPIC is the topic they came from. The queue is configured by QUEUE_PLATFORM and QUEUE_PLATFORM_* (see
    the README). Exit codes: 0 done, 2 wrong arguments, 3 some letters could not be replayed, 4 the queue
    cannot be reached.
    """
    logs.set_up(Console(stderr=True), verbose=False)


@dead_letters.command("list")
@click.argument("topic")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(topic: str, *, as_json: bool) -> None:
    """How many there are, by reason and dataset."""
    with _mailbox(topic) as mailbox:
        counts = Counter((letter.reason, str(letter.dataset or "-")) for letter in mailbox.letters())
    rows = [
        {"reason": reason, "dataset": dataset, "letters": count}
        for (reason, dataset), count in sorted(counts.items())
    ]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    table = Table("reason", box=None, header_style="bold", pad_edge=False)
    table.add_column("dataset", overflow="fold")
    table.add_column("letters", justify="right")
    for row in rows:
        table.add_row(str(row["reason"]), str(row["dataset"]), f"{row['letters']:,}")
    output().print(table if rows else f"{topic} has no dead letters.")


@dead_letters.command()
@click.argument("topic")
@click.argument("place", type=_place, metavar="PARTITION:OFFSET")
def show(topic: str, place: str) -> None:
    """One letter, whole: the one of the message that was at PARTITION:OFFSET."""
    with _mailbox(topic) as mailbox:
        letters = list(mailbox.letters(lambda letter: letter.place == place))
    if not letters:
        raise click.UsageError(f"{topic} has no dead letter of {place}; `export` names all there are")
    for letter in letters:
        _show(letter)


def _show(letter: Letter) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    told = {name: value for name, value in letter.as_json().items() if value is not None}
    for name in ("text", "base64", "headers", "key"):
        told.pop(name, None)
    if letter.key is not None:
        told["key"] = letter.key.decode(errors="backslashreplace")
    for name, value in letter.headers:
        told[f"header {name}"] = "-" if value is None else value.decode(errors="backslashreplace")
    for name, value in told.items():
        table.add_row(Text(name, style="bold"), Text(str(value)))
    console = output()
    console.print(table)
    console.print()
    console.print(_readable(letter), markup=False, highlight=False, soft_wrap=True)


@dead_letters.command()
@click.argument("topic")
@_selection
def export(topic: str, reasons: tuple[str, ...], places: tuple[str, ...]) -> None:
    """Letters as JSON lines on standard output, each with its message."""
    with _mailbox(topic) as mailbox:
        for letter in mailbox.letters(_wanted(reasons, places)):
            click.echo(json.dumps(letter.as_json(), ensure_ascii=False).encode(errors="backslashreplace"))


@dead_letters.command()
@click.argument("topic")
@_selection
def replay(topic: str, reasons: tuple[str, ...], places: tuple[str, ...]) -> None:
    """Send letters back to TOPIC, each exactly once even if this is killed meanwhile.

    All of them, where nothing is selected. A message keeps its id, so that it is stored once. What is still
    wrong with it makes it a dead letter again.
    """
    with _mailbox(topic) as mailbox:
        done = mailbox.replay(_wanted(reasons, places))
    click.echo(f"{done.replayed:,} replayed to {topic}")
    if left := done.truncated + done.refused:
        click.echo(f"{left:,} left: {done.truncated:,} cut short, {done.refused:,} refused by the queue")
        sys.exit(ExitCode.DEAD_LETTERS)


@contextlib.contextmanager
def _mailbox(topic: str) -> Iterator[Mailbox]:
    if topic.endswith(SUFFIX):
        raise click.UsageError(f"name the topic they came from: {topic.removesuffix(SUFFIX)}")
    try:
        yield Mailbox(open_platform(), topic)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    except QueueError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(ExitCode.QUEUE_UNREACHABLE)


def _readable(letter: Letter) -> str:
    try:
        return json.dumps(letter.value, indent=2, ensure_ascii=False)
    except SerializationError:
        return letter.data.decode(errors="backslashreplace")


def main() -> None:
    """Entry point of the console script."""
    dead_letters()
