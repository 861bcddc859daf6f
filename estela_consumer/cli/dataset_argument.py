"""The argument that names a dataset."""

from __future__ import annotations

import click

from estela_wire.dataset import Dataset


def dataset_of_text(value: str) -> Dataset:
    """The dataset that DATABASE/COLLECTION names; raises BadParameter."""
    database, separator, collection = value.partition("/")
    if not (separator and database and collection):
        raise click.BadParameter(
            f"{value!r} is not DATABASE/COLLECTION; `estela-data list` shows what there is"
        )
    return Dataset(database, collection)


dataset_argument = click.argument("dataset", type=dataset_of_text, metavar="DATABASE/COLLECTION")
