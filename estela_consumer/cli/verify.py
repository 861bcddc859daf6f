"""`estela-verify`."""

from __future__ import annotations

import contextlib
import sys
import time
from functools import partial

import click

from estela_config.options import current_configuration, log_notes
from estela_consumer.cli import logs
from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.cli.store_options import store_settings, store_to_look_into
from estela_consumer.stores import open_store
from estela_consumer.verification.jobs import JobHistory
from estela_consumer.verification.listing import (
    DAY,
    VerifiedJob,
    code_of,
    jobs_as_json,
    jobs_as_table,
    told_of_running,
)
from estela_consumer.verification.report import as_json, as_table
from estela_consumer.verification.verification import Verification
from estela_consumer.verification.verifier import Verifier
from estela_consumer.verification.waiting import verify_until
from estela_consumer.verification.watched_platform import WatchedPlatform
from estela_queue_adapter import open_platform
from estela_terminal.bar import Work
from estela_terminal.commands import DataCommand
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, exit_codes_text
from estela_terminal.output import after_the_work, print_json, print_line, print_table
from estela_wire.topics import JOBS_TOPIC

MEANINGS = {
    ExitCode.OK: "all that the job, or each job of the last day, scraped and published is stored",
    ExitCode.FAILED: "a fault of the program",
    ExitCode.USAGE: "wrong arguments or settings, or JOB names several jobs",
    ExitCode.DEAD_LETTERS: "nothing is missing, but some messages are dead letters",
    ExitCode.QUEUE_UNREACHABLE: "the queue cannot be reached",
    ExitCode.STORE_UNREACHABLE: "the store cannot be reached",
    ExitCode.INCOMPLETE: "messages are missing, or were never published, or the counts disagree",
    ExitCode.NO_CLOSING_RECORD: "no such job, or no job at all, or it still runs, or its crawl was killed",
    ExitCode.CUT_SHORT: "what was published is stored or dead-lettered, but the crawl did not finish",
    ExitCode.INTERRUPTED: OUTPUT_MEANINGS[ExitCode.INTERRUPTED],
}
_EPILOG = (
    exit_codes_text(MEANINGS)
    + "\n\nThe queue is configured by QUEUE_PLATFORM and QUEUE_PLATFORM_* (see docs/configuration.md)."
)


@click.command(cls=DataCommand, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("job", required=False, metavar="[JOB]")
@store_to_look_into
@click.option(
    "--jobs-topic",
    envvar="ESTELA_JOBS_TOPIC",
    show_envvar=True,
    default=JOBS_TOPIC,
    show_default=True,
    help="The topic of the closing records.",
)
@click.option(
    "--group",
    envvar="QUEUE_PLATFORM_GROUP",
    show_envvar=True,
    default="",
    help="The consumer group that moves the messages.  [default: group_<topic>]",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Look again until nothing is missing, for so long at most.",
)
@click.option("--failed", is_flag=True, help="Without JOB: list only the jobs that are not complete.")
@click.option("--json", "as_json_", is_flag=True, help="One JSON object on standard output.")
def verify(
    *,
    job: str | None,
    store: str,
    tls_ca_file: str,
    jobs_topic: str,
    group: str,
    wait: float,
    failed: bool,
    as_json_: bool,
) -> None:
    """Say whether all that JOB scraped and published is stored.

    JOB is a jid, <job>.<spider>.<project>, or its first part alone. What the crawl said at its end, in its
    closing record, is compared with what Scrapy counted, with what is stored and with what is dead-lettered.

    Without JOB, the jobs of the last 24 hours are listed, each with its verdict. The exit code is 0 only if
    each is complete, else that of the worst: 7, 8, 14, 3.
    """
    work = Work(logs.set_up(), "messages")
    log_notes()
    if job is None and wait:
        raise click.UsageError("--wait needs a JOB to wait for")
    if job is not None and failed:
        raise click.UsageError("--failed is for the list of jobs: leave JOB out")
    environ = current_configuration().environ
    with (
        ended_by_errors(),
        contextlib.closing(open_store(store_settings(store, tls_ca_file, environ))) as opened,
    ):
        platform = WatchedPlatform(open_platform(environ=environ), work.count)
        verifier = Verifier(platform, opened, jobs_topic=jobs_topic, group=group)
        if job is None:
            jobs = verifier.verify_since(time.time() - DAY)
        else:
            found = verify_until(partial(verifier.verify, job), wait)
            history = None if found else verifier.jobs.of(job)
    with after_the_work():
        if job is None:
            _print_jobs(jobs, only_failed=failed, as_json_=as_json_)
        elif found is not None:
            _print(found, as_json_=as_json_)
        else:
            _print_unknown(job, history, jobs_topic, as_json_=as_json_)
    if job is None:
        sys.exit(code_of(jobs))
    sys.exit(found.code if found else ExitCode.NO_CLOSING_RECORD)


def _print_jobs(jobs: list[VerifiedJob], *, only_failed: bool, as_json_: bool) -> None:
    if as_json_:
        print_json(jobs_as_json(jobs, time.time(), only_failed=only_failed))
    else:
        print_table(*jobs_as_table(jobs, time.time(), only_failed=only_failed))


def _print(found: Verification, *, as_json_: bool) -> None:
    if as_json_:
        print_json(as_json(found))
    else:
        print_table(*as_table(found))


def _print_unknown(job: str, history: JobHistory | None, jobs_topic: str, *, as_json_: bool) -> None:
    """Say what is known of a job without a closing record."""
    code = ExitCode.NO_CLOSING_RECORD
    running = told_of_running(history, time.time()) if history else ""
    message = f"{jobs_topic} has no closing record of job {job}: {running or MEANINGS[code]}"
    if as_json_:
        print_json({"jid": job, "told": message, "exit": code.name, "exit_code": int(code)})
    else:
        print_line(message)


def main() -> None:
    """Entry point of the console script."""
    verify()
