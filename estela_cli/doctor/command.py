"""`estela-scrapy doctor`."""

from __future__ import annotations

import contextlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from estela_cli.doctor.consumer import misspelt_store, refused_options
from estela_cli.doctor.crawl import CrawlCheck, files, misspelt
from estela_cli.doctor.findings import DEFAULT, Report, Value, note, ok, problem
from estela_cli.doctor.queue import QueueCheck, queue_values
from estela_cli.doctor.report import as_json, as_table
from estela_cli.doctor.store import StoreCheck
from estela_config.configuration import Configuration
from estela_config.options import current_configuration
from estela_config.scrapy_project import has_scrapy
from estela_consumer.cli.store_options import store_to_look_into
from estela_consumer.stores.opening import DEFAULT_URL
from estela_queue_adapter import __version__
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.location import located
from estela_terminal.commands import DataCommand
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, exit_codes_text
from estela_terminal.logs import set_up_logs
from estela_terminal.output import print_json, print_table
from estela_wire.published import ITEMS, PREFIX, PublishedTopic, published_topics
from estela_wire.topics import JOBS_TOPIC

MEANINGS = {
    ExitCode.OK: "all that was checked is well",
    ExitCode.FAILED: "a fault of the program",
    ExitCode.USAGE: "wrong arguments, or settings that cannot be read",
    **OUTPUT_MEANINGS,
    ExitCode.PROBLEMS_FOUND: "there is something to correct, and the report says what",
}
_LIBRARIES = {"Scrapy": "scrapy", "kafka-python": "kafka-python", "pymongo": "pymongo"}
_JOBS = "ESTELA_JOBS_TOPIC"
_GROUP = "QUEUE_PLATFORM_GROUP"


@click.command(
    cls=DataCommand,
    epilog=exit_codes_text(MEANINGS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@store_to_look_into
@click.option("--group", envvar=_GROUP, show_envvar=True, default="",
              help="The consumer group that moves the messages.  [default: group_<topic>]")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(0.1, 600.0), default=15.0, show_default=True,
              metavar="SECONDS", help="How long queue and store may take to answer.")  # fmt: skip
@click.option("--json", "as_json_", is_flag=True, help="One JSON object on standard output.")
def doctor(store: str | None, tls_ca_file: str | None, group: str, timeout: float, as_json_: bool) -> None:
    """Say what the commands and the crawl would use, from where, and whether it works.

    Queue and store are asked, and never written to. Secrets are not shown.
    """
    set_up_logs(libraries=("kafka", "pymongo", "estela_queue_adapter", "estela_consumer"))
    report = examine(current_configuration(), store, tls_ca_file, group, timeout)
    if as_json_:
        print_json(as_json(report))
    else:
        print_table(*as_table(report))
    sys.exit(report.code)


def examine(
    configuration: Configuration, store: str | None, tls_ca_file: str | None, group: str, timeout: float
) -> Report:
    """Look at everything. Blocks for about `timeout` seconds at most for each server."""
    report = Report(versions=_versions())
    topics = _topics(configuration, report)
    data_topics = [topic.topic for topic in topics if topic.name != _JOBS]
    crawl = CrawlCheck(configuration)
    stores = StoreCheck(configuration, store, tls_ca_file, timeout)
    queue = QueueCheck(
        configuration, [topic.topic for topic in topics], data_topics, group,
        crawls_here=configuration.project is not None, timeout=timeout,
    )  # fmt: skip
    _add_values(report, configuration, topics, group, crawl, stores)
    for each in configuration.notes:
        report.findings.append(note("configuration", each.text))
    report.findings.append(ok("packages", "no other package is installed under the names of ours"))
    report.findings += [*crawl.findings(), *misspelt(configuration), *misspelt_store(configuration)]
    report.findings += refused_options(configuration)
    waiting: dict[str, int] = {}
    report.findings += queue.findings(waiting.__setitem__)
    with contextlib.closing(stores):
        report.findings += stores.findings(crawl.database)
    report.findings += files(_files(report, crawl, store or DEFAULT_URL))
    report.next_steps += _next_steps(report, configuration, waiting)
    return report


def _versions() -> dict[str, str]:
    found = {"estela-scrapy": __version__, "Python": platform.python_version()}
    for name, distribution in _LIBRARIES.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            found[name] = "(not installed)"
    return found


def _topics(configuration: Configuration, report: Report) -> list[PublishedTopic]:
    """Those of the data, and that of the closing records."""
    try:
        topics = published_topics(configuration.sources(PREFIX), *configuration.given(ITEMS))
    except ConfigurationError as error:
        report.findings.append(problem("topics", error, "correct the setting that it names"))
        return []
    jobs, origin = configuration.environ.get(_JOBS) or JOBS_TOPIC, configuration.origin(_JOBS)
    return [*topics, PublishedTopic(jobs, _JOBS, origin)]


def _add_values(
    report: Report, configuration: Configuration, topics: list[PublishedTopic], group: str,
    crawl: CrawlCheck, store: StoreCheck,
) -> None:  # fmt: skip
    with contextlib.suppress(ConfigurationError):  # the check of the queue tells it
        report.values += queue_values(configuration)
    report.values += [Value(topic.name, topic.topic, topic.origin or DEFAULT) for topic in topics]
    set_group = configuration.environ.get(_GROUP) or ""
    origin = configuration.origin(_GROUP) or DEFAULT if group == set_group else "--group"
    report.values.append(Value(_GROUP, group or "group_<topic>", origin))
    report.values.append(store.value())
    report.values += crawl.values()


def _files(report: Report, crawl: CrawlCheck, url: str) -> dict[str, Path]:
    """The files that hold what was scraped."""
    values = {value.name: value.shown for value in report.values}
    found = {}
    if values.get("QUEUE_PLATFORM") == "embedded" and "QUEUE_PLATFORM_PATH" in values:
        found["queue"] = located(values["QUEUE_PLATFORM_PATH"])
    if url.startswith("sqlite:///"):
        found["store"] = located(url.removeprefix("sqlite:///"))
    if crawl.settings is not None:
        found["outbox"] = crawl.settings.outbox_path
    return found


def _next_steps(report: Report, configuration: Configuration, waiting: dict[str, int]) -> list[str]:
    if report.problems:
        return ["correct the first problem, then: estela-scrapy doctor"]
    if any(waiting.values()):
        named = "" if configuration.project else f" {' '.join(topic for topic, n in waiting.items() if n)}"
        return [f"estela-scrapy consume{named} --drain", "estela-scrapy data list"]
    if configuration.project is not None:
        return ["scrapy crawl YOURSPIDER", "estela-scrapy consume --drain", "estela-scrapy verify JOB"]
    if not has_scrapy():
        return ["estela-scrapy consume TOPIC --drain"]
    return ["estela-scrapy demo, or run this in the folder of a Scrapy project"]
