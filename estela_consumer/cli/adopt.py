"""`estela-data adopt`."""

from __future__ import annotations

import logging
import re
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from estela_consumer.adoption import AdoptionFailed, AdoptionReport, Replacement, survey
from estela_consumer.adoption import adopt as adopt_collection
from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.cli.store_options import dataset_argument, pass_store
from estela_consumer.errors import UsageError
from estela_consumer.stores import Store
from estela_terminal.commands import DataCommand
from estela_terminal.exit_codes import ExitCode, ended_by
from estela_terminal.output import after_the_work, print_json, print_line, say_error
from estela_wire.dataset import Dataset
from estela_wire.topics import STATS_TOPIC

_SCHEDULED_JOB_NAME = re.compile(r"-scj\w+-")  # estela calls its unique collections so

_NOT_CLUSTERED = (
    "not clustered on _id, which the server refuses, so estela's downloads of it may miss documents"
)

logger = logging.getLogger(__name__)


class _Ended(BaseException):
    """A signal asks for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Ended(number)


@click.command(cls=DataCommand)
@dataset_argument
@click.option("--dry-run", is_flag=True, help="Say what would become of the documents, and change nothing.")
@click.option("--unique", is_flag=True, help="It stores equal items once, though its name does not say so.")
@click.option("--cancel", is_flag=True, help="Undo what an interrupted run began: consumers go on.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as one JSON object.")
@pass_store
def adopt(store: Store, dataset: Dataset, dry_run: bool, unique: bool, cancel: bool, as_json: bool) -> None:
    """Give the documents of a unique collection that estela wrote the ids that estela-consume gives them.

    Without it, an item that estela has stored is stored once more when it is scraped again. Stop estela's own
    consumer first. Readers, and consumers of this package, may go on: they see the old collection until the
    new one takes its place, and writes wait so long. It can be interrupted at any time, and run again.
    """
    # In good order, so that consumers go on.
    endings = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    try:
        for ending in endings:
            signal.signal(ending, _end)
        _adopt(store, dataset, dry_run=dry_run, unique=unique, cancel=cancel, as_json=as_json)
        for ending in endings:
            signal.signal(ending, signal.SIG_DFL)
    except _Ended as end:
        say_error(
            f"{dataset}: stopped by {end.signal.name}. Run the command again; if all was done, it says so"
        )
        sys.exit(ended_by(end.signal))


def _adopt(
    store: Store, dataset: Dataset, *, dry_run: bool, unique: bool, cancel: bool, as_json: bool
) -> None:
    try:
        with ended_by_errors():
            replacement = _replacement(store, dataset)
            if cancel:
                undone = replacement.cancel()
                print_line(
                    f"{dataset}: cancelled; it is as it was." if undone else f"{dataset}: nothing to cancel."
                )
                return
            if not dry_run:
                _check_unique(dataset, unique)
            report = _run(replacement, dataset, dry_run=dry_run)
    except AdoptionFailed as error:
        say_error(error)
        sys.exit(ExitCode.FAILED)
    with after_the_work():
        _print(dataset, report, dry_run=dry_run, as_json=as_json)


def _replacement(store: Store, dataset: Dataset) -> Replacement:
    replacement = getattr(store, "replacement", None)
    if replacement is None:
        raise UsageError(f"estela writes to MongoDB alone, and the store is {store.describe()}")
    found: Replacement = replacement(dataset)
    return found


def _check_unique(dataset: Dataset, unique: bool) -> None:
    if dataset.collection == STATS_TOPIC:
        raise UsageError(f"{dataset} holds the stats of jobs, which have their ids already")
    if not unique and not _SCHEDULED_JOB_NAME.search(dataset.collection):
        raise UsageError(
            f"{dataset} is not called like a unique collection of estela's (<spider>-scj<number>-<topic>), "
            "and adopt would merge its equal items. If they are stored once on purpose, add --unique; "
            "--dry-run tells how many are equal"
        )


def _run(replacement: Replacement, dataset: Dataset, *, dry_run: bool) -> AdoptionReport:
    def say(count: int) -> None:
        logger.info(
            "Adopting %s: %d of about %d documents are read.", dataset, count, replacement.estimated_count
        )

    if not dry_run:
        return adopt_collection(replacement, say)
    report = survey(replacement.documents(), say)
    report.clustered = replacement.clustered
    return report


def _print(dataset: Dataset, report: AdoptionReport, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        asked = {"database": dataset.database, "collection": dataset.collection, "dry_run": dry_run}
        print_json({**asked, **report.as_dict()})
        return
    would = "would " if dry_run else ""
    print_line(f"{dataset}: {report.documents:,} documents")
    print_line(f"{report.adopted:12,} {would}get an id by their content")
    print_line(f"{report.ours:12,} have it already")
    print_line(f"{report.merged:12,} of these {would}merge with an equal one")
    why = ", ".join(f"{name} in {count:,}" for name, count in sorted(report.reasons.items()))
    print_line(
        f"{report.kept:12,} {would}keep their id" + (f", as no message holds such values: {why}" * bool(why))
    )
    if not dry_run:
        state = "replaced" if report.changed else "nothing to do"
        order = "clustered on _id" if report.clustered else _NOT_CLUSTERED
        print_line(f"{state}; {order}")
