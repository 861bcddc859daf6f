"""Commands whose options are read from the layers too."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from estela_config.configuration import Configuration, load
from estela_queue_adapter import __version__
from estela_queue_adapter.errors import ConfigurationError
from estela_terminal.commands import version_option
from estela_terminal.exit_codes import ExitCode
from estela_terminal.logs import log_format_option

_KEY = "estela_config.configuration"  # in the meta of click's contexts

_Command: TypeAlias = Callable[..., Any]


class WrongConfiguration(click.ClickException):
    """What the layers have is wrong: one line, as how the command was called has nothing to do with it."""

    exit_code = ExitCode.USAGE


logger = logging.getLogger(__name__)


def env_file_option(command: _Command) -> _Command:
    """Gives the command `--env-file`, and its other options what the layers have for their variables.

    And `--log-format`, one of these others, and `--version`.
    """
    return click.option(
        "--env-file",
        metavar="PATH",
        type=click.Path(),
        is_eager=True,
        expose_value=False,
        callback=_load,
        help="A file of NAME=value lines, read where the environment sets nothing.",
    )(log_format_option(our_version_option(command)))


def our_version_option(command: _Command) -> _Command:
    """Gives the command `--version`; `env_file_option` does so too."""
    return version_option(__version__)(command)


def current_configuration() -> Configuration:
    """That of the command that runs."""
    configuration: Configuration = click.get_current_context().meta[_KEY]
    return configuration


def log_notes() -> None:
    """Say what there is to say of the layers; once the log is set up."""
    for note in current_configuration().notes:
        logger.log(note.level, "%s", note.text)


def _load(context: click.Context, _parameter: click.Parameter, path: str | None) -> None:
    if context.resilient_parsing:
        return
    try:
        _check_working_directory()
        configuration = load(os.environ, path)
    except ConfigurationError as error:
        raise WrongConfiguration(str(error)) from None
    context.meta[_KEY] = configuration
    set_there = {name: value for name, value in configuration.environ.items() if value}
    context.default_map = _defaults(context.command, set_there)


def _check_working_directory() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigurationError(
            f"the working directory cannot be used: {error.strerror or error}; go to one that exists"
        ) from error


def _defaults(command: click.Command, values: Mapping[str, str]) -> dict[str, Any]:
    """What click takes for the options that are not given; it asks the environment before."""
    defaults: dict[str, Any] = {}
    for parameter in command.params:
        names = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or ()
        for name in names:
            if name in values and parameter.name:
                value = values[name]
                # Of several, a variable has spaces between them, and a list of the project's has commas.
                defaults[parameter.name] = value.replace(",", " ").split() if parameter.nargs == -1 else value
                break
    for name, inner in getattr(command, "commands", {}).items():
        defaults[name] = _defaults(inner, values)
    return defaults
