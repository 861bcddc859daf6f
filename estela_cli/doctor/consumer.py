"""The consumer: whether it takes what its options are set to, and names that are nearly the store's."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import click

from estela_cli.doctor.findings import Finding, problem
from estela_config.configuration import Configuration
from estela_config.names import STORE
from estela_consumer.cli.consume import consume
from estela_queue_adapter.files.values import SUFFIX

_STORE_NAMES = (STORE, f"{STORE}{SUFFIX}", "DB_CERTIFICATE_PATH")
_LIKENESS = 0.85  # DB_CONECTION and DB_CONNECTION_URL are like DB_CONNECTION, DB_HOST is not


def refused_options(configuration: Configuration) -> Iterator[Finding]:
    """What `estela-consume` would end for."""
    context = click.Context(consume, info_name="estela-consume")
    for option in consume.params:
        if not isinstance(option, click.Option):
            continue  # topics, which are words
        for name in [option.envvar] if isinstance(option.envvar, str) else option.envvar or ():
            if not (value := configuration.environ.get(name)):
                continue
            try:
                option.type_cast_value(context, value)
            except click.BadParameter as error:
                told = f"estela-consume does not take it: {error.message}"
                yield problem(name, told, f"correct it in {configuration.origin(name)}")


def misspelt_store(configuration: Configuration) -> Iterator[Finding]:
    """Names that look like the store's: without the right one, a file is the database."""
    project = configuration.project
    names = {*configuration.environ, *(project.settings if project is not None else ())}
    for name in sorted(str(name) for name in names - {*_STORE_NAMES}):
        if near := difflib.get_close_matches(name, _STORE_NAMES, 1, _LIKENESS):
            yield problem(name, f"has no effect; did you mean {near[0]}?", "correct or remove the name")
