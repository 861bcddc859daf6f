"""`estela-dead-letters`."""

from __future__ import annotations

import click

from estela_config.options import env_file_option, log_notes
from estela_consumer.cli import logs
from estela_consumer.cli.dead_letters.changes import discard, edit, replay
from estela_consumer.cli.dead_letters.counts import counted, print_counts, rows_of
from estela_consumer.cli.dead_letters.selection import (
    discarded_option,
    opened_reader,
    place_argument,
    selection,
    since_option,
    wanted_letters,
)
from estela_consumer.cli.extended_json import extended_json
from estela_consumer.dead_letters.replay import DeadLetter
from estela_queue_adapter.errors import SerializationError
from estela_terminal.commands import DataGroup
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, exit_codes_text
from estela_terminal.output import DataTable, as_text, print_json, print_json_text, print_line, print_table
from estela_terminal.times import shown_moment

MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "a fault of the program",
    ExitCode.USAGE: "wrong arguments or settings",
    ExitCode.DEAD_LETTERS: "some dead letters could not be replayed, or the edited one was not sent",
    ExitCode.QUEUE_UNREACHABLE: "the queue cannot be reached",
    **OUTPUT_MEANINGS,
}


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


for _command in (replay, discard, edit):
    dead_letters.add_command(_command)


@dead_letters.command("list")
@click.argument("topic")
@since_option
@discarded_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(topic: str, *, since: float | None, discarded: bool, as_json: bool) -> None:
    """How many there are, by reason and dataset."""
    with opened_reader(topic) as reader:
        counts = counted(reader.letters(wanted_letters((), (), since), discarded=discarded))
    if as_json:
        for row in rows_of(counts):
            print_json(row)
        return
    if not counts:
        kind = "discarded" if discarded else "dead"
        print_line(
            f"{topic} has no {kind} letters{'' if since is None else f' since {shown_moment(since)}'}."
        )
        return
    print_counts(counts)


@dead_letters.command()
@click.argument("topic")
@click.argument("place", type=place_argument, metavar="PARTITION:OFFSET")
def show(topic: str, place: str) -> None:
    """One letter, whole: the one of the message that was at PARTITION:OFFSET."""
    with opened_reader(topic) as reader:
        letters = list(reader.letters(lambda letter: letter.place == place, discarded=None))
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
@selection
@discarded_option
def export(
    topic: str, *, reasons: tuple[str, ...], places: tuple[str, ...], since: float | None, discarded: bool
) -> None:
    """Letters as JSON lines on standard output, each with its message."""
    with opened_reader(topic, prints=True) as reader:
        for letter in reader.letters(wanted_letters(reasons, places, since), discarded=discarded):
            print_json(letter.as_json())


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
