"""`estela-consume`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

import click

from estela_config.configuration import Configuration
from estela_config.options import current_configuration, env_file_option, log_notes
from estela_config.topics import topics_of_settings
from estela_consumer.cli import estela_variables, logs
from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.cli.live_progress import live_progress
from estela_consumer.cli.store_options import store_settings, store_url, tls_ca_file_option
from estela_consumer.cli.summary import print_summary
from estela_consumer.errors import EXIT_MEANINGS
from estela_consumer.heap import share_heap
from estela_consumer.monitoring.settings import MonitoringSettings
from estela_consumer.pipeline.batch import ChunkLimits
from estela_consumer.pipeline.pipeline import PipelineSettings
from estela_consumer.service import ConsumerService, ConsumerSettings
from estela_consumer.stores.opening import DEFAULT_URL
from estela_pages.address import ListenAddress
from estela_queue_adapter.collector import settle_into_consuming
from estela_terminal.commands import DataCommand
from estela_terminal.exit_codes import ExitCode, exit_codes_text
from estela_terminal.times import seconds_of
from estela_wire.published import topic
from estela_wire.topics import JOBS_TOPIC

_EPILOG = (
    exit_codes_text(EXIT_MEANINGS)
    + """
When several apply: 1, 2, 4, 5, 6 or 16, then 11, 10, 9, 12, 3. --json tells all.

The queue is configured by QUEUE_PLATFORM and QUEUE_PLATFORM_* (see docs/configuration.md);
if QUEUE_PLATFORM is unset it is the file .estela/queue.db.
"""
)
logger = logging.getLogger(__name__)

_LIMITS = ChunkLimits()
_PIPELINE = PipelineSettings()


class _Number(click.FloatRange):
    """A number that one can reckon with: neither NaN nor beyond what the system's clocks can wait for."""

    name = "number"
    _largest = 1e9

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not number <= self._largest:
            self.fail(f"{value} is not a number up to {self._largest:.0f}.", param, ctx)
        return number


class _Duration(click.types.StringParamType):
    """`7d`, in seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = super().convert(value, param, ctx)
        try:
            return seconds_of(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_POSITIVE = click.IntRange(min=1)
_SECONDS = _Number(min=0)
_NOT_SHOWN = ("store",)  # a URL with a password in it
_SWITCH_INTERVAL = 0.001  # seconds that decoding may keep the interpreter's lock from other threads

_Command: TypeAlias = Callable[..., Any]


def _option(
    name: str, variable: str | list[str], kind: Any, default: Any, text: str, *, metavar: str | None = None
) -> Callable[[_Command], _Command]:
    return click.option(
        name,
        envvar=variable,
        type=kind,
        default=default,
        show_envvar=True,
        show_default=default is not None,
        metavar=metavar,
        help=text,
    )


def _flag(*names: str, variable: str, text: str) -> Callable[[_Command], _Command]:
    return click.option(*names, is_flag=True, envvar=variable, show_envvar=True, help=text)


# fmt: off
@click.command(cls=DataCommand, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("topics", nargs=-1, envvar="QUEUE_PLATFORM_TOPIC", metavar="[TOPIC]...")
@_flag("--drain", variable="ESTELA_DRAIN",
       text="Stop once everything that is in the topics now is stored, for cron and CI.")
@_option("--store", "DB_CONNECTION", str, None,
         "Where to store: mongodb://..., mongodb+srv://..., sqlite:///relative/path or "
         f"sqlite:////absolute/path.  [default: {DEFAULT_URL}]", metavar="URL")
@_option("--group", "QUEUE_PLATFORM_GROUP", str, None, "Consumer group.  [default: group_<topic>]")
@_option("--chunk-count", "ESTELA_CHUNK_COUNT", _POSITIVE, _LIMITS.count,
         "Documents that one insert carries at most.")
@_option("--chunk-bytes", "ESTELA_CHUNK_BYTES", _POSITIVE, None,
         f"Bytes that one insert carries at most.  [default: BATCH_SIZE_THRESHOLD, else {_LIMITS.bytes}]")
@_option("--chunk-age", ["ESTELA_CHUNK_AGE", "INSERT_TIME_THRESHOLD"], _SECONDS, _LIMITS.age,
         "Seconds a message waits for others at most.")
@_option("--writers", "ESTELA_WRITERS", click.IntRange(1, estela_variables.MAX_WRITERS), None,
         f"Inserts at the same time at most, for a topic.  [default: WORKER_POOL, else {_PIPELINE.writers}]")
@_option("--rate", "ESTELA_RATE", _Number(min=0, min_open=True), None,
         "Messages a second at most, for each topic.  [default: no limit]")
@_option("--max-wait", "ESTELA_MAX_WAIT", _SECONDS, 60.0,
         "With --drain: seconds until an unavailable queue or store, or an open transaction, is given up.")
@_option("--grace", "ESTELA_GRACE", _SECONDS, _PIPELINE.grace,
         "Seconds from a signal until the process has ended; what is in hand is finished, if it can be.")
@_option("--auth-max-wait", "ESTELA_AUTH_MAX_WAIT", _SECONDS, 0.0,
         "Seconds after which a refused login or permission ends the consumer; 0: never.")
@_option("--log-interval", "ESTELA_LOG_INTERVAL", _SECONDS, 10.0,
         "Seconds between two lines of the log about a topic while its messages flow; 0: none.")
@_option("--retention", "ESTELA_RETENTION", _Duration(), None,
         "Remove from the embedded queue what every group has read and what is older: 7d.  "
         "[default: nothing is removed]", metavar="DURATION")
@_option("--listen", "ESTELA_LISTEN", str, None,
         "Answer / (a page), /livez /readyz /metrics /status.json there: HOST:PORT.  [default: nowhere]",
         metavar="ADDRESS")
@_option("--listen-names", "ESTELA_LISTEN_NAMES", str, None,
         "Names of hosts, with commas between, by which requests may call it beside its addresses.",
         metavar="NAMES")
@tls_ca_file_option
@env_file_option
@_flag("--json", "as_json", variable="ESTELA_JSON",
       text="The summary as one JSON object on standard output.")
@_flag("-v", "--verbose", variable="ESTELA_VERBOSE", text="A line for each batch, and the drivers' lines.")
def consume(*, as_json: bool, verbose: bool, **options: Any) -> None:
    """Move the messages of each TOPIC into the database, each exactly once.

    Without a TOPIC, those that the settings name: of a Scrapy project around, or ESTELA_ITEMS_TOPIC and its
    sisters.

    Runs until it gets SIGTERM, SIGINT or SIGHUP, or with --drain until what is there now is stored. What
    cannot be stored goes to the topic <TOPIC>_dead_letters with its reason. An outage of the queue or the
    database is waited out.
    """
    console = logs.set_up(verbose=verbose)
    log_notes()
    with ended_by_errors():
        settings = _settings(options, current_configuration())
    service = ConsumerService(settings)
    with live_progress(console, service, draining=settings.pipeline.drain) as draw:
        code = service.run(draw)
    if code is not ExitCode.USAGE:
        print_summary(service.progress.snapshot(), code, as_json=as_json)
    if service.hangs:
        _end_at_once(code)
    sys.exit(code)
# fmt: on


def _end_at_once(code: ExitCode) -> NoReturn:
    """End without waiting for clients whose servers hang; nothing of theirs is committed."""
    logging.shutdown()
    os._exit(code)


def _settings(options: dict[str, Any], configuration: Configuration) -> ConsumerSettings:
    environ = configuration.environ
    estela_variables.warn_of_those_without_effect(environ)
    url = store_url(options["store"], environ)
    estela_variables.check_engine(environ, url)
    return ConsumerSettings(
        topics=tuple(dict.fromkeys(options["topics"])) or topics_of_settings(configuration, "consuming"),
        group=options["group"] or "",
        store=store_settings(options["store"], options["tls_ca_file"], environ),
        pipeline=PipelineSettings(
            limits=ChunkLimits(
                count=options["chunk_count"],
                bytes=estela_variables.chunk_bytes(options["chunk_bytes"], environ) or _LIMITS.bytes,
                age=options["chunk_age"],
            ),
            writers=estela_variables.writers(options["writers"], environ) or _PIPELINE.writers,
            drain=options["drain"],
            rate=options["rate"],
            grace=options["grace"],
        ),
        max_wait=options["max_wait"],
        auth_max_wait=options["auth_max_wait"] or None,
        log_interval=options["log_interval"],
        retention=options["retention"],
        monitoring=_monitoring(options, environ),
        environ=environ,
    )


def _monitoring(options: dict[str, Any], environ: Mapping[str, str]) -> MonitoringSettings | None:
    if not options["listen"]:
        return None
    shown = {name: value for name, value in options.items() if name not in _NOT_SHOWN}
    return MonitoringSettings(
        address=ListenAddress.parse(options["listen"], options["listen_names"] or ""),
        jobs_topic=topic("ESTELA_JOBS_TOPIC", environ.get("ESTELA_JOBS_TOPIC", JOBS_TOPIC)),
        shown=shown,
        group=options["group"] or "",
    )


def prepare_process() -> None:
    """Set up this process for nothing but consuming; before the command, as its caller may be a test."""
    share_heap()
    settle_into_consuming()
    sys.setswitchinterval(_SWITCH_INTERVAL)


def main() -> None:
    """Entry point of the console script."""
    prepare_process()
    consume()
