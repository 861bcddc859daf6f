"""`estela-data index`."""

from __future__ import annotations

from typing import Any

import click

from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.cli.store_options import dataset_argument, pass_store
from estela_consumer.errors import UsageError
from estela_consumer.stores import Store
from estela_consumer.stores.indexes import ASCENDING, DESCENDING, Index, Indexes, check
from estela_terminal.commands import DataCommand
from estela_terminal.output import after_the_work, data_table, print_json, print_line, print_table
from estela_terminal.times import UNITS, as_duration, shown_duration
from estela_wire.dataset import Dataset

_LONGEST = 2**31 - 1  # seconds; MongoDB's limit


def _fields(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Any:
    """`sku,-price` as fields with their directions; a minus is descending."""
    if value is None:
        return None
    fields = [part.strip() for part in value.split(",")]
    if not all(field.removeprefix("-") and not field.startswith("--") for field in fields):
        raise click.BadParameter(f"{value!r} is not a list of fields such as sku,-price")
    return tuple((field[1:], DESCENDING) if field.startswith("-") else (field, ASCENDING) for field in fields)


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """`90d` in seconds."""
    seconds = as_duration(context, parameter, value)
    if seconds is not None and seconds > _LONGEST:
        raise click.BadParameter(f"{value} is longer than MongoDB takes, {_LONGEST // UNITS['d']:,} days")
    return seconds


@click.command(cls=DataCommand)
@dataset_argument
@click.option("--on", "fields", callback=_fields, metavar="FIELDS", help="Create one on these: sku,-price.")
@click.option(
    "--unique", is_flag=True, help="No two documents have the same values; for a dataset's key alone."
)
@click.option(
    "--expire-after",
    callback=_seconds,
    metavar="DURATION",
    help="Delete documents so long after the date there: 90d.",
)
@click.option("--drop", metavar="NAME", help="Drop the index of that name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each index that there is then.")
@pass_store
def index(
    store: Store,
    dataset: Dataset,
    fields: tuple[tuple[str, int], ...] | None,
    unique: bool,
    expire_after: int | None,
    drop: str | None,
    as_json: bool,
) -> None:
    """List the indexes of DATASET (DATABASE/COLLECTION), create one or drop one.

    An index that would turn messages into dead letters is refused. What exists already is not created again.
    Writes go on meanwhile. A field within another is named with a dot: _estela.scraped_at.
    """
    if fields is None and (unique or expire_after is not None):
        raise click.UsageError("--unique and --expire-after need --on: the fields of the index")
    if fields is not None and drop is not None:
        raise click.UsageError("--on and --drop exclude each other")
    if expire_after is not None and fields is not None and len(fields) != 1:
        raise click.UsageError("--expire-after needs one field in --on, with a date in it")
    wanted = None if fields is None else Index(fields, unique, expire_after)
    with ended_by_errors():
        told, found = _work(_indexes(store, dataset), wanted, drop)
    with after_the_work():
        _print(found, told, as_json=as_json)


def _indexes(store: Store, dataset: Dataset) -> Indexes:
    indexes = getattr(store, "indexes", None)
    if indexes is None:
        raise UsageError(
            f"{store.describe()} has no indexes: it is read in the order of _id alone. MongoDB has them "
            "(--store, DB_CONNECTION)"
        )
    found: Indexes = indexes(dataset)
    return found


def _work(indexes: Indexes, wanted: Index | None, drop: str | None) -> tuple[str, list[Index]]:
    """Create or drop what is asked for; what is said of that, and the indexes that there are then."""
    there, told = list(indexes), ""
    if not there:
        raise UsageError(f"there is no dataset {indexes.dataset}; `estela-data list` shows what there is")
    if drop is not None:
        told = _drop(indexes, there, drop)
    elif wanted is not None:
        told = _create(indexes, there, wanted)
    return told, list(indexes) if told else there


def _drop(indexes: Indexes, there: list[Index], name: str) -> str:
    if name not in [each.name for each in there]:
        raise UsageError(
            f"{indexes.dataset} has no index {name!r}; it has {', '.join(each.name for each in there)}"
        )
    indexes.drop(name)
    return f"{indexes.dataset}: dropped {name}."


def _create(indexes: Indexes, there: list[Index], wanted: Index) -> str:
    for each in there:
        if each.is_like(wanted):
            return f"{indexes.dataset}: {each.name} exists already."
    check(indexes, wanted)
    for each in there:
        if each.fields == wanted.fields:
            raise UsageError(
                f"{indexes.dataset} has {each.name} on the same fields with other options; drop that first: "
                f"--drop {each.name}"
            )
    indexes.create(wanted)
    created = f"{indexes.dataset}: created, on {_shown_fields(wanted)}."
    if wanted.expire_after is not None:
        return f"{created} estela-verify will call what has expired missing."
    return created


def _print(found: list[Index], told: str, *, as_json: bool) -> None:
    if as_json:
        for each in found:
            print_json({**each._asdict(), "fields": dict(each.fields)})
        return
    if told:
        print_line(told)
    table = data_table("index")
    for column in ("on", "unique", "documents expire after"):
        table.add_data_column(column)
    for each in found:
        is_unique = "yes" if each.unique or each.fields == (("_id", ASCENDING),) else ""
        table.add_data_row(each.name, _shown_fields(each), is_unique, _shown_duration(each.expire_after))
    print_table(table)


def _shown_fields(index: Index) -> str:
    """As --on takes them; one of another kind, which others have made, is named."""
    return ",".join(
        {ASCENDING: path, DESCENDING: f"-{path}"}.get(kind, f"{path} ({kind})") for path, kind in index.fields
    )


def _shown_duration(seconds: int | None) -> str:
    return "" if seconds is None else shown_duration(seconds)
