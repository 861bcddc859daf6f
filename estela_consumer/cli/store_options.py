"""The options that name a store, and the argument that names a dataset, the same for every command."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import click

from estela_config.options import env_file_option
from estela_consumer.cli import estela_variables
from estela_consumer.cli.errors import ended_by_errors
from estela_consumer.errors import UsageError
from estela_consumer.stores import StoreSettings, open_store
from estela_consumer.stores.opening import DEFAULT_URL
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.values import SUFFIX, value_of
from estela_wire.dataset import Dataset

_VARIABLE = "DB_CONNECTION"

_Command: TypeAlias = Callable[..., Any]

tls_ca_file_option = click.option(
    "--tls-ca-file",
    envvar="DB_CERTIFICATE_PATH",
    show_envvar=True,
    type=click.Path(),
    help="Certificate authority of the store. PRODUCTION, unless False, insists on TLS.",
)


def store_to_look_into(command: _Command) -> _Command:
    """The options of a command that reads a store: `store`, `tls_ca_file`, and a file of settings."""
    store = click.option(
        "--store",
        envvar=_VARIABLE,
        show_envvar=True,
        metavar="URL",
        help=f"The store to look into.  [default: {DEFAULT_URL}]",
    )
    return env_file_option(store(tls_ca_file_option(command)))


def pass_store(command: _Command) -> _Command:
    """Hand the command the store of its group, which is opened only now: not for a --help or a mistake."""

    @functools.wraps(command)
    def with_store(*arguments: Any, **options: Any) -> Any:
        context = click.get_current_context()
        with ended_by_errors():
            store = open_store(context.obj())
        context.call_on_close(store.close)
        return command(store, *arguments, **options)

    return with_store


def store_url(given: str | None, environ: Mapping[str, str]) -> str:
    """The option, or what is in the file that DB_CONNECTION_FILE names. Raises UsageError."""
    if given and given != environ.get(_VARIABLE):
        return given
    try:
        return value_of(_VARIABLE, environ)
    except ConfigurationError as error:
        raise UsageError(str(error)) from error


def store_settings(url: str | None, tls_ca_file: str | None, environ: Mapping[str, str]) -> StoreSettings:
    """What the options and estela's variables, as in `environ`, say together. Raises UsageError."""
    from_file = url in (None, "", environ.get(_VARIABLE)) and bool(environ.get(f"{_VARIABLE}{SUFFIX}"))
    url, tls_ca_file = store_url(url, environ), tls_ca_file or ""
    tls = url.startswith("mongodb") and estela_variables.wants_tls(environ, tls_ca_file)
    return StoreSettings(url=url, url_from_file=from_file, tls=tls, tls_ca_file=tls_ca_file if tls else "")


def dataset_of_text(value: str) -> Dataset:
    """The dataset that DATABASE/COLLECTION names; raises BadParameter."""
    database, separator, collection = value.partition("/")
    if not (separator and database and collection):
        raise click.BadParameter(
            f"{value!r} is not DATABASE/COLLECTION; `estela-data list` shows what there is"
        )
    return Dataset(database, collection)


dataset_argument = click.argument("dataset", type=dataset_of_text, metavar="DATABASE/COLLECTION")
