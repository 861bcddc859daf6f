"""`estela-dead-letters`."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import click

from estela_config.options import current_configuration, env_file_option, log_notes
from estela_consumer.cli import logs
from estela_consumer.cli.extended_json import extended_json
from estela_consumer.dead_letters.replay import DeadLetter, DeadLetterReader
from estela_consumer.errors import Reason
from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import ConfigurationError, QueueError, SerializationError
from estela_terminal.commands import DataGroup
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, exit_codes_text
from estela_terminal.output import (
    DataTable,
    after_the_work,
    as_text,
    data_table,
    print_json,
    print_json_text,
    print_line,
    print_table,
    say_error,
)
from estela_wire.topics import DEAD_LETTERS_SUFFIX

MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "a fault of the program",
    ExitCode.USAGE: "wrong arguments or settings",
    ExitCode.DEAD_LETTERS: "some dead letters could not be replayed",
    ExitCode.QUEUE_UNREACHABLE: "the queue cannot be reached",
    **OUTPUT_MEANINGS,
}

_Command: TypeAlias = Callable[..., Any]
_Wanted: TypeAlias = Callable[[DeadLetter], bool]


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


@click.group(
    cls=DataGroup,
    epilog=exit_codes_text(MEANINGS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@env_file_option
def dead_letters() -> None:
    """Look at messages that could not be stored, and send them back once their cause is fixed.

    TOPIC is the topic they came from. The queue is configured by QUEUE_PLATFORM and QUEUE_PLATFORM_* (see
    docs/configuration.md).
    """
    logs.set_up()
    log_notes()


@dead_letters.command("list")
@click.argument("topic")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(topic: str, *, as_json: bool) -> None:
    """How many there are, by reason and dataset."""
    with _reader(topic) as reader:
        counts = Counter((letter.reason, str(letter.dataset or "-")) for letter in reader.letters())
    rows = [
        {"reason": reason, "dataset": dataset, "letters": count}
        for (reason, dataset), count in sorted(counts.items())
    ]
    if as_json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        print_line(f"{topic} has no dead letters.")
        return
    table = data_table("reason", "dataset", numbers=("letters",))
    for row in rows:
        table.add_data_row(row["reason"], row["dataset"], f"{row['letters']:,}")
    print_table(table)


@dead_letters.command()
@click.argument("topic")
@click.argument("place", type=_place, metavar="PARTITION:OFFSET")
def show(topic: str, place: str) -> None:
    """One letter, whole: the one of the message that was at PARTITION:OFFSET."""
    with _reader(topic) as reader:
        letters = list(reader.letters(lambda letter: letter.place == place))
    if not letters:
        raise click.UsageError(f"{topic} has no dead letter of {place}; `export` names all there are")
    for letter in letters:
        _show(letter)


def _show(letter: DeadLetter) -> None:
    apart = {"text", "base64", "headers", "key"}
    rows = [
        (name, value) for name, value in letter.as_json().items() if value is not None and name not in apart
    ]
    if letter.key is not None:
        rows.append(("key", _text(letter.key)))
    for name, value in letter.headers:
        rows.append((f"header {name}", "(no value)" if value is None else _text(value)))
    table = DataTable(box=None, show_header=False, pad_edge=False)
    table.add_data_column("")
    table.add_data_column("")
    for name, value in rows:
        table.add_row(as_text(name, style="bold"), as_text(value))
    print_table(table, "")
    _print_message(letter)


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


@dead_letters.command()
@click.argument("topic")
@_selection
def export(topic: str, reasons: tuple[str, ...], places: tuple[str, ...]) -> None:
    """Letters as JSON lines on standard output, each with its message."""
    with _reader(topic) as reader:
        for letter in reader.letters(_wanted(reasons, places)):
            print_json(letter.as_json())


@dead_letters.command()
@click.argument("topic")
@_selection
def replay(topic: str, reasons: tuple[str, ...], places: tuple[str, ...]) -> None:
    """Send letters back to TOPIC, each exactly once even if this is killed meanwhile.

    All of them, if nothing is selected. A message keeps its id, so that it is stored once. What is still
    wrong with it makes it a dead letter again.
    """
    with _reader(topic) as reader:
        done = reader.replay(_wanted(reasons, places))
    remaining = done.truncated + done.refused
    with after_the_work():
        print_line(f"{done.replayed:,} replayed to {topic}")
        if remaining:
            print_line(
                f"{remaining:,} remain: {done.truncated:,} cut short, {done.refused:,} refused by the queue"
            )
    sys.exit(ExitCode.DEAD_LETTERS if remaining else ExitCode.OK)


@contextlib.contextmanager
def _reader(topic: str) -> Iterator[DeadLetterReader]:
    if topic.endswith(DEAD_LETTERS_SUFFIX):
        raise click.UsageError(f"name the topic they came from: {topic.removesuffix(DEAD_LETTERS_SUFFIX)}")
    try:
        yield DeadLetterReader(open_platform(environ=current_configuration().environ), topic)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    except QueueError as error:
        say_error(error)
        sys.exit(ExitCode.QUEUE_UNREACHABLE)


def _print_message(letter: DeadLetter) -> None:
    try:
        text = extended_json(letter.value, indent=2)
    except (SerializationError, RecursionError, ValueError):  # not JSON, or too deep or large to be laid out
        print_line(letter.data.decode(errors="backslashreplace"))
    else:
        print_json_text(text)


def main() -> None:
    """Entry point of the console script."""
    dead_letters()
