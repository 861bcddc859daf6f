"""`estela-data rekey`."""

from __future__ import annotations

import click

from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.cli.store_options import dataset_of_text, pass_store
from estela_consumer.rekeying import Rekeying
from estela_consumer.stores import Store
from estela_queue_adapter.errors import BadName
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import print_line
from estela_wire.dataset import Dataset
from estela_wire.keys import OnExisting, changes_of, checked_key


def _key(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    try:
        return checked_key([name for name in value.split(",") if name])
    except BadName as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("source", type=dataset_of_text, metavar="OLD")
@click.argument("target", type=dataset_of_text, metavar="NEW")
@click.option(
    "--key",
    required=True,
    metavar="FIELD[,FIELD]",
    callback=_key,
    help="The fields of the key, as the crawl has them.",
)
@click.option(
    "--on-existing",
    type=click.Choice([mode.value for mode in OnExisting]),
    default=OnExisting.REPLACE.value,
    show_default=True,
    help="What becomes of several documents with one key.",
)
@pass_store
def rekey(store: Store, source: Dataset, target: Dataset, key: tuple[str, ...], on_existing: str) -> None:
    """Make dataset NEW, with a key, of the documents of OLD (both DATABASE/COLLECTION).

    OLD is left as it is. Run it again after an interruption: nothing is there twice. Documents without the
    key's fields are left out and named, and the exit code says so.
    """
    mode = OnExisting(on_existing)
    try:
        changes = changes_of(target)
    except BadName as error:
        raise click.UsageError(str(error)) from None
    if source in (target, changes):
        raise click.UsageError(f"{target} must be another dataset than {source}")
    rekeying = Rekeying(store, key, mode)
    with ended_by_errors():
        rekeying.run(source, target)
    counts = rekeying.outcomes
    if not counts:
        raise click.UsageError(f"there is no dataset {source}; `estela-data list` shows what there is")
    print_line(
        f"{source}: {counts.total():,} documents; {target}: {counts['stored']:,} stored, "
        f"{counts['present']:,} already there, {counts['superseded']:,} superseded, "
        f"{counts['refused']:,} left out"
    )
    for refusal in rekeying.refusals:
        print_line(f"  {refusal}")
    if counts["refused"]:
        raise SystemExit(ExitCode.INCOMPLETE)
