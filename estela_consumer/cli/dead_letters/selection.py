"""Which letters a command is about, and the reader of a topic's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import click

from estela_config.options import current_configuration
from estela_consumer.cli import logs
from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.dead_letters.replay import DeadLetter, DeadLetterReader, Wanted
from estela_consumer.errors import Reason
from estela_queue_adapter import open_platform
from estela_terminal.bar import Work
from estela_terminal.times import as_moment, time_of_iso
from estela_wire.topics import DEAD_LETTERS_SUFFIX

_Command: TypeAlias = Callable[..., Any]


def place_argument(value: str) -> str:
    """The type of an argument or option that is PARTITION:OFFSET."""
    partition, _, offset = value.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise click.BadParameter(f"{value!r} is not PARTITION:OFFSET, such as 0:42")
    return value


def not_empty(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The callback of an option that has to say something."""
    if not value.strip():
        raise click.BadParameter("say why; an empty text tells nobody")
    return value


def selection(command: _Command) -> _Command:
    """The options that say which letters."""
    reasons = [reason.value for reason in Reason]
    command = since_option(command)
    command = click.option(
        "--at", "places", multiple=True, type=place_argument, metavar="PARTITION:OFFSET",
        help="Only the letter of the message that was there; may be given again.",
    )(command)  # fmt: skip
    return click.option(
        "--reason",
        "reasons",
        multiple=True,
        type=click.Choice(reasons),
        help="Only these; may be given again.",
    )(command)


def since_option(command: _Command) -> _Command:
    """Gives the command `--since`."""
    return click.option(
        "--since", callback=as_moment, metavar="TIME",
        help="Only what became a dead letter since then: 1h, 7d, 2026-11-01, 2026-11-01T08:30Z.",
    )(command)  # fmt: skip


def discarded_option(command: _Command) -> _Command:
    """Gives the command `--discarded`."""
    return click.option("--discarded", is_flag=True, help="Those that were discarded, instead.")(command)


def wanted_letters(reasons: tuple[str, ...], places: tuple[str, ...], since: float | None) -> Wanted:
    """What these options select."""

    def wanted(letter: DeadLetter) -> bool:
        if (reasons and letter.reason not in reasons) or (places and letter.place not in places):
            return False
        if since is None:
            return True
        became = time_of_iso(letter.time)
        return became is None or became >= since  # one that does not say when is not kept from anybody

    return wanted


@contextlib.contextmanager
def opened_reader(topic: str, *, prints: bool = False) -> Iterator[DeadLetterReader]:
    """The dead letters of the topic; errors of the queue become lines and exit codes.

    On a terminal it draws how far it has read, unless the command `prints` there meanwhile.
    """
    if topic.endswith(DEAD_LETTERS_SUFFIX):
        raise click.UsageError(f"name the topic they came from: {topic.removesuffix(DEAD_LETTERS_SUFFIX)}")
    with ended_by_errors():
        platform = open_platform(environ=current_configuration().environ)
        watch = Work(logs.console(), "messages", prints=prints).count
        yield DeadLetterReader(platform, topic, watch=watch)
