"""`estela-outbox`."""

from __future__ import annotations

import base64
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from estela_config.options import current_configuration, env_file_option, log_notes
from estela_queue_adapter import open_platform, queue_noisy_libraries
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.location import located
from estela_scrapy.cli.configured import extension_settings
from estela_scrapy.delivery.outbox import Outbox, OutboxError, RefusedMessage
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.settings import ExtensionSettings
from estela_terminal.commands import DataGroup
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, exit_codes_text
from estela_terminal.logs import set_up_logs
from estela_terminal.output import (
    after_the_work,
    data_table,
    print_json,
    print_line,
    print_table,
    say_error,
)

MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "a fault of the program",
    ExitCode.USAGE: "wrong arguments or settings",
    ExitCode.DEAD_LETTERS: "some messages remain because the queue refuses them",
    ExitCode.QUEUE_UNREACHABLE: "some messages remain because the queue cannot be reached",
    ExitCode.STORE_UNREACHABLE: "the outbox cannot be used",
    **OUTPUT_MEANINGS,
}


@click.group(
    cls=DataGroup,
    epilog=exit_codes_text(MEANINGS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@env_file_option
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    help="The outbox.  [env var: ESTELA_OUTBOX_PATH; default: .estela/outbox.db]",
)
@click.pass_context
def outbox(context: click.Context, path: Path | None) -> None:
    """Look at messages that a crawl could not bring to the queue, and send them.

    In a Scrapy project its settings count, where neither the environment nor --env-file has any.
    """
    set_up_logs(libraries=queue_noisy_libraries)
    log_notes()
    try:
        settings = extension_settings(current_configuration())
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    context.obj = replace(settings, outbox_path=located(path)) if path else settings


@outbox.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(settings: ExtensionSettings, *, as_json: bool) -> None:
    """How many messages there are, by topic, and why they were refused, if they were."""
    with _opened(settings) as box:
        summaries = box.summaries()
    if as_json:
        for summary in summaries:
            print_json(summary._asdict())
        return
    if not summaries:
        print_line(f"The outbox {settings.outbox_path} is empty.")
        return
    table = data_table("topic", numbers=("messages", "bytes"))
    table.add_data_column("refused because")
    for topic, reason, messages, size in summaries:
        table.add_data_row(topic, f"{messages:,}", f"{size:,}", reason or "not refused: it waits")
    print_table(table)


@outbox.command()
@click.option(
    "--max-wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    envvar="ESTELA_MAX_WAIT",
    show_envvar=True,
    help="Seconds without progress after which the queue is given up.",
)
@click.pass_obj
def send(settings: ExtensionSettings, *, max_wait: float) -> None:
    """Send what waits, and once more what was refused. What crawls that still run have there is theirs."""
    with _opened(settings) as box:
        box.adopt()
        box.accept_again()
        before = box.pending()
        if not before:
            print_line("There is nothing to send.")
            return
    try:
        platform = open_platform(environ=settings.environ)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    publisher = Publisher(
        platform.producer,
        Outbox(settings.outbox_path, settings.outbox_max_bytes),
        buffer_bytes=settings.buffer_bytes,
    )
    publisher.start()
    done = _wait(publisher, max_wait)
    undelivered, refused = publisher.close(), publisher.counts.rejected.total()
    with after_the_work():
        print_line(f"{before - undelivered.waiting - refused:,} sent to {platform.describe()}")
        if refused:
            print_line(f"{refused:,} refused by the queue; `estela-outbox list` says why")
        if not done:
            print_line(f"{undelivered.waiting:,} still wait: the queue accepted none for {max_wait:g} s")
    if not done:
        sys.exit(ExitCode.QUEUE_UNREACHABLE)
    sys.exit(ExitCode.DEAD_LETTERS if refused else ExitCode.OK)


@outbox.command()
@click.pass_obj
def export(settings: ExtensionSettings) -> None:
    """Every message as JSON lines on standard output."""
    with _opened(settings) as box:
        for message in box.everything():
            print_json(_as_json(message))


@contextlib.contextmanager
def _opened(settings: ExtensionSettings) -> Iterator[Outbox]:
    box = Outbox(settings.outbox_path, settings.outbox_max_bytes)
    if not box.exists():
        raise click.UsageError(
            f"there is no outbox {settings.outbox_path}; --path or ESTELA_OUTBOX_PATH names it"
        )
    try:
        yield box
    except OutboxError as error:
        say_error(error)
        sys.exit(ExitCode.STORE_UNREACHABLE)
    finally:
        box.close()


def _wait(publisher: Publisher, max_wait: float) -> bool:
    """Return True when all is sent or refused, False when nothing more has been for `max_wait` seconds."""
    answered = -1
    while publisher.counts.answered > answered:
        answered = publisher.counts.answered
        if publisher.wait(max_wait):
            return True
    return False


def _as_json(message: RefusedMessage) -> dict[str, Any]:
    pending, reason = message
    described = {"stream": pending.stream, "topic": pending.topic, "reason": reason or None}
    try:
        return {**described, "text": pending.data.decode()}
    except UnicodeDecodeError:
        return {**described, "base64": base64.b64encode(pending.data).decode()}
