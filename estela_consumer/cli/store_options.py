"""The options that name a store, the same for every command."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias

import click

from estela_consumer.cli import estela_variables
from estela_consumer.errors import UsageError
from estela_consumer.stores import StoreSettings
from estela_consumer.stores.opening import DEFAULT_URL
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.values import value_of

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
    """The options of a command that reads a store: `store` and `tls_ca_file`."""
    store = click.option(
        "--store",
        envvar=_VARIABLE,
        show_envvar=True,
        metavar="URL",
        help=f"The store to look into.  [default: {DEFAULT_URL}]",
    )
    return store(tls_ca_file_option(command))


def store_url(given: str | None) -> str:
    """The option, or what is in the file that DB_CONNECTION_FILE names. Raises UsageError."""
    if given and given != os.environ.get(_VARIABLE):
        return given
    try:
        return value_of(_VARIABLE, os.environ)
    except ConfigurationError as error:
        raise UsageError(str(error)) from error


def store_settings(url: str | None, tls_ca_file: str | None) -> StoreSettings:
    """What the options and estela's variables say together. Raises UsageError."""
    url, tls_ca_file = store_url(url), tls_ca_file or ""
    tls = url.startswith("mongodb") and estela_variables.wants_tls(os.environ, tls_ca_file)
    return StoreSettings(url=url, tls=tls, tls_ca_file=tls_ca_file if tls else "")
