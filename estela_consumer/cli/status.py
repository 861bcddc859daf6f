"""`estela-status`."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from estela_config.options import current_configuration, log_notes
from estela_config.topics import topics_of_settings
from estela_consumer.cli import logs
from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.cli.store_options import store_settings, store_to_look_into
from estela_consumer.status.as_json import as_json
from estela_consumer.status.collector import STORE, StatusCollector
from estela_consumer.status.model import Status
from estela_consumer.status.tables import as_tables
from estela_consumer.stores import open_store
from estela_pages.address import ListenAddress
from estela_queue_adapter import open_platform
from estela_terminal.commands import DataCommand
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, ended_by, exit_codes_text
from estela_terminal.output import print_json, print_table
from estela_wire.topics import JOBS_TOPIC

if TYPE_CHECKING:
    from estela_consumer.status.server import StatusServer

MEANINGS = {
    ExitCode.OK: "it was told how everything stands, whatever that is",
    ExitCode.FAILED: "a fault of the program",
    ExitCode.USAGE: "wrong arguments or settings, or nobody can listen there",
    ExitCode.QUEUE_UNREACHABLE: "the queue cannot be reached; what is known is printed",
    ExitCode.STORE_UNREACHABLE: "the store cannot be reached; what is known is printed",
    **OUTPUT_MEANINGS,
}
logger = logging.getLogger(__name__)

_BETWEEN_LOOKS = 2.0  # seconds: one look tells no rate


@click.command(
    cls=DataCommand,
    epilog=exit_codes_text(MEANINGS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("topics", nargs=-1, envvar="QUEUE_PLATFORM_TOPIC", metavar="[TOPIC]...")
@click.option("--once", is_flag=True, help="Print tables, and end: the default without --listen.")
@click.option("--json", "as_json_", is_flag=True, help="The same as one JSON object, for machines.")
@click.option(
    "--listen",
    metavar="ADDRESS",
    help="Serve it as a page there instead: HOST:PORT, such as 127.0.0.1:8081.",
)
@click.option(
    "--listen-names",
    metavar="NAMES",
    envvar="ESTELA_LISTEN_NAMES",
    show_envvar=True,
    default="",
    help="Names of hosts, with commas between, by which requests may call it beside its addresses.",
)
@click.option(
    "--group",
    envvar="QUEUE_PLATFORM_GROUP",
    show_envvar=True,
    default="",
    help="The consumer group that moves the messages.  [default: group_<topic>]",
)
@click.option(
    "--jobs-topic",
    envvar="ESTELA_JOBS_TOPIC",
    show_envvar=True,
    default=JOBS_TOPIC,
    show_default=True,
    help="The topic of heartbeats and closing records.",
)
@store_to_look_into
def status(
    *,
    topics: tuple[str, ...],
    once: bool,
    as_json_: bool,
    listen: str | None,
    listen_names: str,
    group: str,
    jobs_topic: str,
    store: str,
    tls_ca_file: str,
) -> None:
    """Say how everything stands: topics, lag, dead letters, jobs, queue and store.

    Without a TOPIC, those that the settings name, as for estela-consume. It only looks: it joins no group,
    commits nothing and creates nothing.
    """
    logs.set_up()
    log_notes()
    if listen and (once or as_json_):
        raise click.UsageError("--listen goes on, while --once and --json print and end: choose one")
    with ended_by_errors(), contextlib.ExitStack() as closing:
        configuration = current_configuration()
        topics = tuple(dict.fromkeys(topics)) or topics_of_settings(configuration, "looking at")
        opened = open_store(store_settings(store, tls_ca_file, configuration.environ))
        closing.callback(opened.close)
        shown = {"topics": ", ".join(topics), "group": group or "group_<topic>", "jobs topic": jobs_topic}
        collector = StatusCollector(
            open_platform(environ=configuration.environ),
            opened,
            topics,
            jobs_topic=jobs_topic,
            group=group,
            settings=shown,
        )
        closing.callback(collector.close)
        if listen:
            _serve(collector, ListenAddress.parse(listen, listen_names))
            return
        found = collector.collect()
        if not found.outages:
            time.sleep(_BETWEEN_LOOKS)
            found = collector.collect()
    _print(found, as_json_=as_json_)
    sys.exit(_code(found))


def _serve(collector: StatusCollector, address: ListenAddress) -> None:
    # Its libraries take a moment to import, which only those pay who want it.
    from estela_consumer.status.server import StatusServer

    server = StatusServer(collector, address)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signal_number, _frame: _stop(server, signal_number))
    logger.info("Status at %s", server.url)
    server.run()


def _stop(server: StatusServer, signal_number: int) -> None:
    """Called by a signal: the first has the present look end, the second does not wait for it."""
    if server.is_stopped:
        os._exit(ended_by(signal_number))  # nothing is lost: it only looks
    server.stop()


def _print(found: Status, *, as_json_: bool) -> None:
    if as_json_:
        print_json(as_json(found))
    else:
        print_table(*as_tables(found))


def _code(found: Status) -> ExitCode:
    parts = {outage.part for outage in found.outages}
    if parts - {STORE}:
        return ExitCode.QUEUE_UNREACHABLE
    return ExitCode.STORE_UNREACHABLE if parts else ExitCode.OK


def main() -> None:
    """Entry point of the console script."""
    status()
