"""`estela-scrapy demo`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from estela_config.options import our_version_option
from estela_demo.demo import Demo, embedded_environ, run_environ
from estela_terminal.commands import DataCommand
from estela_terminal.exit_codes import OUTPUT_MEANINGS, ExitCode, exit_codes_text
from estela_terminal.output import DataConsole, print_line, print_lines

MEANINGS = {
    ExitCode.OK: "all that was scraped is stored",
    ExitCode.FAILED: "a step failed, and the lines above say why; or a fault of the program",
    ExitCode.USAGE: "wrong arguments",
    ExitCode.INCOMPLETE: "what is stored is not what was scraped",
    **OUTPUT_MEANINGS,
}
_PAGES = 10  # of the shop's, so that it does not take long
_GO_ON = """
In a Scrapy project of your own:

  settings.py    EXTENSIONS = {"estela_scrapy.QueueExtension": 500}
  store it       scrapy crawl yourspider, then estela-scrapy consume --drain
  look at it     estela-scrapy data list
"""


@click.command(
    cls=DataCommand,
    epilog=exit_codes_text(MEANINGS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Keep the files of queue and store here, in a new or empty folder.  [default: a temporary one]",
)
@our_version_option
def demo(folder: Path | None) -> None:
    """Crawl a small shop on this machine, store what the spider scrapes, and check that it is all there.

    Queue and store are files: no server is needed, and nothing of your settings is used.
    """
    began = time.monotonic()
    with _folder(folder) as here:
        complete = Demo(
            DataConsole(sys.stdout), here, {**run_environ(), **embedded_environ(here)}, pages=_PAGES
        )()
    if folder is not None:
        print_line("")
        print_lines(f"Look around in it:\n  estela-scrapy data --store sqlite:///{here / 'store.db'} list")
    print_lines(_GO_ON)
    print_line(f"{'Complete' if complete else 'NOT complete'}, in {time.monotonic() - began:.1f} s.")
    sys.exit(ExitCode.OK if complete else ExitCode.INCOMPLETE)


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is None:
        with tempfile.TemporaryDirectory(prefix="estela-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name).resolve()
        return
    try:
        given.mkdir(parents=True, exist_ok=True)
        if any(given.iterdir()):
            raise click.UsageError(f"--folder {given} is not empty; name a new one")
        (given / "stats.json").touch()
    except OSError as error:
        raise click.UsageError(
            f"--folder {given} cannot be used: {error.strerror or error}; name a folder that you may write to"
        ) from error
    yield given.resolve()
