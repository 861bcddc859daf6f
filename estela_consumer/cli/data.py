"""`estela-data`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from estela_consumer.cli import logs
from estela_consumer.cli.adopt import adopt
from estela_consumer.cli.dataset_argument import dataset_argument
from estela_consumer.cli.store_options import store_settings, store_to_look_into
from estela_consumer.datasets import Dataset
from estela_consumer.errors import ExitCode, StoreUnreachable, UsageError
from estela_consumer.escaping import unescape_document, unescape_key
from estela_consumer.report import output
from estela_consumer.stores import Store, open_store

_CELL_WIDTH = 60  # characters of a value that a table shows


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@store_to_look_into
@click.pass_context
def data(context: click.Context, store: str | None, tls_ca_file: str | None) -> None:
    """Look at what is stored, and adopt what estela has stored."""  # fmt: skip
    logs.set_up(Console(stderr=True), verbose=False)
    try:
        context.obj = open_store(store_settings(store, tls_ca_file))
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    context.call_on_close(context.obj.close)


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(store: Store, as_json: bool) -> None:
    """Every dataset and how many documents it holds."""
    with _reachable():
        summaries = list(store.datasets())
    if as_json:
        for dataset, documents in summaries:
            click.echo(
                json.dumps(
                    {"database": dataset.database, "collection": dataset.collection, "documents": documents}
                )
            )
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("dataset", overflow="fold")
    table.add_column("documents", justify="right")
    for dataset, documents in summaries:
        table.add_row(str(dataset), f"{documents:,}")
    output().print(table if summaries else f"Nothing is stored yet in {store.describe()}.")


@data.command()
@dataset_argument
@click.option("-n", "--number", type=click.IntRange(min=1), default=5, show_default=True, help="How many.")
@click.pass_obj
def show(store: Store, dataset: Dataset, number: int) -> None:
    """The first documents of DATASET (DATABASE/COLLECTION) as a table."""
    with _reachable():
        documents = list(store.read(dataset, number))
    _must_exist(documents, dataset)
    columns = list(dict.fromkeys(key for document in documents for key in document))
    table = Table(header_style="bold", pad_edge=False, box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(unescape_key(column), overflow="fold", min_width=min(8, len(column)))
    for document in documents:
        table.add_row(*(_cell(document[column]) if column in document else "" for column in columns))
    output().print(table)


@data.command()
@dataset_argument
@click.option("--raw", is_flag=True, help="With _id, and keys as they are stored.")
@click.pass_obj
def export(store: Store, dataset: Dataset, raw: bool) -> None:
    """DATASET (DATABASE/COLLECTION) as JSON lines on standard output, in the order of scraping."""
    found = False
    with _reachable():
        for document in store.read(dataset):
            found = True
            if not raw:
                document.pop("_id")
                document = unescape_document(document)
            click.echo(json.dumps(document, ensure_ascii=False, default=str))
    _must_exist(found, dataset)


data.add_command(adopt)


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except StoreUnreachable as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(ExitCode.STORE_UNREACHABLE)


def _must_exist(found: object, dataset: Dataset) -> None:
    if not found:
        raise click.UsageError(
            f"there is no dataset {dataset}, or it is empty; `estela-data list` shows what there is"
        )


def _cell(value: Any) -> Text:
    if isinstance(value, dict):
        value = unescape_document(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str).strip('"')
    return Text(text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 1] + "…")


def main() -> None:
    """Entry point of the console script."""
    data()
