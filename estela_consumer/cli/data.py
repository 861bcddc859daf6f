"""`estela-data`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
from bson.objectid import ObjectId
from rich import box
from rich.cells import cell_len

from estela_config.options import current_configuration, log_notes
from estela_consumer.cli import logs
from estela_consumer.cli.adopt import adopt
from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.cli.extended_json import extended_json, plain_text
from estela_consumer.cli.index import index
from estela_consumer.cli.rekey import rekey
from estela_consumer.cli.store_options import dataset_argument, pass_store, store_settings, store_to_look_into
from estela_consumer.decoding.escaping import unescape_document, unescape_key_beside
from estela_consumer.stores import Store
from estela_queue_adapter.errors import BadName
from estela_terminal.bar import Work
from estela_terminal.commands import DataGroup
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, exit_codes_text
from estela_terminal.output import (
    DataTable,
    data_table,
    output_width,
    print_json,
    print_json_text,
    print_line,
    print_table,
)
from estela_wire.dataset import Dataset
from estela_wire.jid import parse_jid

MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "a fault of the program; adopt: another adoption of the collection came in between",
    ExitCode.USAGE: "wrong arguments or settings, or no such dataset",
    ExitCode.STORE_UNREACHABLE: "the store cannot be reached",
    ExitCode.INCOMPLETE: "rekey: some documents were left out, as they do not have the key",
    **OUTPUT_MEANINGS,
}
_COLUMN_GAP = 3  # characters between two columns
_CELL_WIDTH = 60  # characters of a value that a table of documents shows
_VALUE_WIDTH = 300  # of one that stands alone in its line, or in several


def _origin(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, str]:
    """What documents of a job say in their metadata: its first part, or all of a jid."""
    if value is None:
        return {}
    if "." not in value:
        return {"job": value}
    try:
        return parse_jid(value)._asdict()
    except BadName as error:
        raise click.BadParameter(f"{error}, nor the first part of one") from error


_JOB = click.option(
    "--job",
    "origin",
    callback=_origin,
    metavar="JOB",
    help="Only the documents of this job: a jid, or its first part.",
)
_PLAIN = click.option(
    "--plain", is_flag=True, help="Text for what JSON has no type for, such as dates, and no Extended JSON."
)


@click.group(
    cls=DataGroup,
    epilog=exit_codes_text(MEANINGS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@store_to_look_into
@click.pass_context
def data(context: click.Context, store: str | None, tls_ca_file: str | None) -> None:
    """Look at what is stored, index it, and adopt what estela has stored.

    JSON is MongoDB's relaxed Extended JSON: a date is {"$date": "2026-01-31T09:30:00Z"}.
    """
    logs.set_up()
    log_notes()
    environ = current_configuration().environ
    context.obj = partial(store_settings, store, tls_ca_file, environ)  # for `pass_store`


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@pass_store
def list_(store: Store, as_json: bool) -> None:
    """Every dataset and how many documents it holds."""
    with ended_by_errors():
        summaries = list(store.datasets())
    if as_json:
        for dataset, documents in summaries:
            print_json(
                {"database": dataset.database, "collection": dataset.collection, "documents": documents}
            )
        return
    if not summaries:
        print_line(f"Nothing is stored yet in {store.describe()}.")
        return
    table = data_table("dataset", numbers=("documents",))
    for dataset, documents in summaries:
        table.add_data_row(dataset, f"{documents:,}")
    print_table(table)


@data.command()
@dataset_argument
@click.option("-n", "--number", type=click.IntRange(min=1), default=5, show_default=True, help="How many.")
@_PLAIN
@_JOB
@pass_store
def show(store: Store, dataset: Dataset, number: int, *, plain: bool, origin: dict[str, str]) -> None:
    """The first documents of DATASET (DATABASE/COLLECTION) as a table, or each as its own if it is wide."""
    with ended_by_errors():
        documents = list(_documents(store, dataset, origin, number))
    _must_exist(documents, dataset, origin)
    if plain:
        documents = [plain_text(document) for document in documents]
    columns = list(dict.fromkeys(key for document in documents for key in document))
    rows = [
        [_cell(document[column], _CELL_WIDTH) if column in document else "" for column in columns]
        for document in documents
    ]
    titles = [unescape_key_beside(column, columns) for column in columns]
    width = sum(_COLUMN_GAP + max(map(cell_len, column)) for column in zip(titles, *rows, strict=True))
    if width <= output_width():
        print_table(_side_by_side(titles, rows))
    else:
        print_table(*map(_one_below_the_other, documents))


def _side_by_side(titles: list[str], rows: list[list[str]]) -> DataTable:
    table = DataTable(header_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)
    for title in titles:
        table.add_data_column(title)
    for row in rows:
        table.add_data_row(*row)
    return table


def _one_below_the_other(document: dict[str, Any]) -> DataTable:
    table = DataTable(show_header=False, pad_edge=False, box=box.SIMPLE_HEAD)
    table.add_data_column("")
    table.add_data_column("")
    for key, value in document.items():
        table.add_data_row(unescape_key_beside(key, document), _cell(value, _VALUE_WIDTH))
    return table


@data.command()
@dataset_argument
@click.option("--raw", is_flag=True, help="With _id, and keys as they are stored.")
@_PLAIN
@_JOB
@pass_store
def export(store: Store, dataset: Dataset, *, raw: bool, plain: bool, origin: dict[str, str]) -> None:
    """DATASET (DATABASE/COLLECTION) as JSON lines on standard output, in the order of scraping."""
    found = False
    with ended_by_errors():
        work = Work(logs.console(), "documents", prints=True)
        for document in work.count(_documents(store, dataset, origin)):
            found = True
            if not raw:
                document.pop("_id")
                document = unescape_document(document)
            print_json_text(extended_json(plain_text(document) if plain else document))
    _must_exist(found, dataset, origin)


def _documents(
    store: Store, dataset: Dataset, origin: dict[str, str], limit: int | None = None
) -> Iterator[dict[str, Any]]:
    # A store of another package may be from before there was an origin.
    return store.read(dataset, limit, origin) if origin else store.read(dataset, limit)


data.add_command(adopt)
data.add_command(index)
data.add_command(rekey)


def _must_exist(found: object, dataset: Dataset, origin: dict[str, str]) -> None:
    if not found and origin:
        raise click.UsageError(
            f"no document of {dataset} says that it is of job {'.'.join(origin.values())}; those of a layout "
            "with metadata do, in _estela.job"
        )
    if not found:
        raise click.UsageError(
            f"there is no dataset {dataset}, or it is empty; `estela-data list` shows what there is"
        )


def _cell(value: Any, width: int) -> str:
    if isinstance(value, dict):
        value = unescape_document(value)
    if isinstance(value, float):
        text = json.dumps(value)  # NaN and Infinity as people know them
    elif isinstance(value, (str, int, ObjectId)) and not isinstance(value, bool):
        text = str(value)  # of a document's `_id` the digits alone
    else:
        text = extended_json(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def main() -> None:
    """Entry point of the console script."""
    data()
