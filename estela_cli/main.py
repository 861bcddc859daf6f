"""`estela-scrapy`, and the console scripts whose modules somebody else may have overwritten."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from estela_config.scrapy_project import has_scrapy
from estela_queue_adapter import __version__
from estela_terminal.commands import DataGroup, version_option
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import say_error


class _Place(NamedTuple):
    """Where a command is."""

    module: str
    name: str
    crawls: bool = False
    """Whether it needs Scrapy and the half that crawls."""
    prepare: str = ""
    """A function there that sets up the process for it."""


_COMMANDS = {
    "demo": _Place("estela_demo.command", "demo", crawls=True),
    "doctor": _Place("estela_cli.doctor.command", "doctor"),
    "consume": _Place("estela_consumer.cli.consume", "consume", prepare="prepare_process"),
    "verify": _Place("estela_consumer.cli.verify", "verify"),
    "status": _Place("estela_consumer.cli.status", "status"),
    "data": _Place("estela_consumer.cli.data", "data"),
    "dead-letters": _Place("estela_consumer.cli.dead_letters.command", "dead_letters"),
    "queue": _Place("estela_cli.queue.command", "queue"),
    "outbox": _Place("estela_scrapy.cli.outbox", "outbox", crawls=True),
}
_HELP = {
    "demo": "Crawl a small shop that comes along, and see what is stored. No server needed.",
    "doctor": "Say what is configured, from where, and whether queue and store answer.",
    "consume": "Move messages from the queue into the database.",
    "verify": "Say whether all that a job, or each of the last day, scraped is stored.",
    "status": "Say how everything stands, as tables or as a page.",
    "data": "Look at what is stored.",
    "dead-letters": "Look at messages that could not be stored, and send them again.",
    "queue": "Look at topics, groups and their lag; reset a group, prune the embedded queue.",
    "outbox": "Look at messages that could not be sent, and send them.",
}
_CRAWL_PACKAGES = ("scrapy", "itemadapter", "estela_scrapy", "estela_demo")


class _Commands(DataGroup):
    """Each command is imported only when it is called: Scrapy and MongoDB's driver take their time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        return None if place is None else _load(cmd_name, place)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a shell offers for a word that is begun; nothing is imported for it either."""
        names = [name for name in _COMMANDS if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=_HELP[name]) for name in names),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of --help, for which nothing is imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_HELP.items()))


def _load(name: str, place: _Place) -> click.Command:
    try:
        if place.crawls and not has_scrapy():
            raise ModuleNotFoundError("it is not there", name="scrapy")
        module = importlib.import_module(place.module)
    except ModuleNotFoundError as error:
        if not place.crawls or (error.name or "").partition(".")[0] not in _CRAWL_PACKAGES:
            raise
        raise click.UsageError(
            f"{name} needs Scrapy and the half of estela-scrapy that crawls, and {error.name} is not "
            f"installed here: {_how_to_install()}"
        ) from None
    if place.prepare:
        getattr(module, place.prepare)()
    command: click.Command = getattr(module, place.name)
    return command


def _how_to_install() -> str:
    """The whole, in the place of its part if that is what is installed: they share files."""
    try:
        distribution("estela-consumer")
    except PackageNotFoundError:
        return "`pip install estela-scrapy`"
    return "`pip uninstall estela-consumer`, then `pip install estela-scrapy`"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@version_option(__version__)
def estela_scrapy(**_: Any) -> None:
    """From a Scrapy crawl over a queue to a database.

    `estela-scrapy demo` shows it on this machine. Each command has a name of its own too: estela-consume,
    estela-verify, estela-status, estela-data, estela-dead-letters, estela-queue, estela-outbox.
    """


def main() -> None:
    """Entry point of the console script."""
    estela_scrapy()


def outbox() -> None:
    """Entry point of `estela-outbox`; here, as another's files may have replaced those of its package."""
    try:
        command = _load("outbox", _COMMANDS["outbox"])
    except click.UsageError as error:
        say_error(error.format_message())
        sys.exit(ExitCode.USAGE)
    command()
