"""How a command ends: each error in its line and with its exit code, whatever the outputs are."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import (
    OutputFailed,
    discard_unwritten_errors,
    flush_output,
    print_line,
    print_lines,
    say,
    say_error,
)
from estela_terminal.printable import printable, printable_traceback

_OPTIONS_THAT_NAME = ("group", "jobs_topic", "remove")
_NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())  # since click 8.2


def version_option(version: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command `--version`, which shows its name as called and this."""

    def show(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        if wanted and not context.resilient_parsing:
            print_line(f"{context.command_path} {version}")
            context.exit()

    return click.option(
        "--version", is_flag=True, is_eager=True, expose_value=False, callback=show,
        help="Show the version and exit.",
    )  # fmt: skip


class DataCommand(click.Command):
    """A command that prints through `output`.

    Its body may raise OutputFailed: the exit code is OUTPUT_FAILED then. A command whose exit code says
    more than its output catches it.
    """

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        run: Callable[..., Any] = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        sys.exit(_exit_code(lambda: run(*args, standalone_mode=False, **extra)))

    def invoke(self, ctx: click.Context) -> Any:
        for parameter in self.params:
            _check_text(parameter, ctx)
        return super().invoke(ctx)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _print_help
        return option


class DataGroup(DataCommand, click.Group):
    """A group of such commands."""

    command_class = DataCommand

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        self._help_first(ctx, args)
        return super().parse_args(ctx, args)

    def _help_first(self, context: click.Context, args: list[str]) -> None:
        """Show the help of the command in the group if it is asked for, before anything can be wrong.

        The group's own options look at settings, which the reader of the help may be about to correct.
        """
        if not {*args[1:]} & {*context.help_option_names}:
            return
        _, rest, _ = self.make_parser(context).parse_args(list(args))
        command = self.get_command(context, rest[0]) if rest else None
        if command is not None:
            command.make_context(rest[0], rest[1:], parent=context)


def _check_text(parameter: click.Parameter, context: click.Context) -> None:
    """Names are UTF-8, of topics, datasets and jobs alike; only names of files may be any bytes."""
    value = context.params.get(parameter.name or "")
    is_name = isinstance(parameter, click.Argument) or parameter.name in _OPTIONS_THAT_NAME
    for text in value if isinstance(value, tuple) else (value,):
        if is_name and isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise click.BadParameter(f"{text!r} is not UTF-8.", context, parameter) from None


def _print_help(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        print_lines(context.get_help())
        context.exit()


def _exit_code(work: Callable[[], Any]) -> int:
    """Do the work, and say in words and by the exit code what kept it from its end."""
    _open_what_is_closed()
    try:
        return _done(work)
    except OutputFailed as error:
        say_error(f"{error}; what came out is not all")
        return ExitCode.OUTPUT_FAILED
    except click.ClickException as error:
        say(_usage_and_message(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.")
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001  (it is printed, and becomes the exit code)
        say(f"Error: this is a fault of {Path(sys.argv[0]).name}:\n{printable_traceback(error)}")
        return ExitCode.FAILED
    finally:
        discard_unwritten_errors()


def _done(work: Callable[[], Any]) -> int:
    try:
        code = work()
    except SystemExit as end:
        code = end.code
    try:
        flush_output()
    except OutputFailed:
        if not code:
            raise
    return int(code or 0)


def _usage_and_message(error: click.ClickException) -> str:
    """As click shows it, with the message, which may quote what somebody gave us, in one line."""
    if isinstance(error, _NO_ARGUMENTS):
        return str(error.message)
    message = f"Error: {printable(error.format_message())}"
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\n{message}"


def _open_what_is_closed() -> None:
    """Open the null device in the place of closed standard streams: a connection would take the number.

    What a library writes to standard error would go there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
