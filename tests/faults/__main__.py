"""`scripts/faults`."""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from estela_consumer.report import output
from tests.faults.outcome import COLUMNS, cell, markdown
from tests.faults.run import FAULTS, run_fault
from tests.faults.servers import Servers, servers

_DOCUMENT = Path("docs/reliability.md")
_BEGIN, _END = "<!-- faults: made by scripts/faults --write -->", "<!-- /faults -->"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only", multiple=True, type=click.Choice(list(FAULTS)), help="Only this row; may be given again."
)
@click.option(
    "--messages", type=click.IntRange(min=1), default=100_000, show_default=True, help="In each row."
)
@click.option("--seed", type=int, help="Of every random moment.  [default: a new one, which is printed]")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False), help="The table as JSON, into this file."
)
@click.option("--write", is_flag=True, help="The table into docs/reliability.md.")
def main(
    *, only: tuple[str, ...], messages: int, seed: int | None, json_file: str | None, write: bool
) -> None:
    """Break everything around crawl and consumer, on real Kafka and real MongoDB, and balance the books.

    Ends with 0 when in every row nothing is missing, nothing is there twice, and each bad message is a dead
    letter that says why.
    """
    console = output()
    seed = random.randrange(1 << 30) if seed is None else seed
    console.print(f"seed {seed}, {messages:,} messages in each row", highlight=False)
    outcomes: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        started: dict[int, Servers] = {}
        for name in only or FAULTS:
            fault = FAULTS[name]
            if fault.servers not in started:
                started[fault.servers] = stack.enter_context(servers(fault.servers))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="estela-faults-")))
            began = time.monotonic()
            with console.status(f"{name}: {fault.told} ..."):
                outcome = run_fault(
                    fault, started[fault.servers], folder, messages, 1.0, random.Random(f"{seed} {name}")
                )
            outcomes[name] = {"told": fault.told, **outcome.as_json()}
            kept = "kept" if outcome.promises_kept else "BROKEN"
            console.print(f"{name}: {kept}, {time.monotonic() - began:.0f} s", highlight=False)
    _print(console, outcomes)
    if json_file:
        Path(json_file).write_text(
            json.dumps({"seed": seed, "messages": messages, "faults": outcomes}, indent=2)
        )
    if write:
        _write(seed, messages, outcomes)
    sys.exit(0 if all(books["promises_kept"] for books in outcomes.values()) else 1)


def _print(console: Console, outcomes: dict[str, dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("fault", no_wrap=True)
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for name, books in outcomes.items():
        table.add_row(name, *(cell(books[column]) for column in COLUMNS))
    console.print(table)


def _write(seed: int, messages: int, outcomes: dict[str, dict[str, Any]]) -> None:
    text = _DOCUMENT.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    table = markdown({books["told"]: books for books in outcomes.values()})
    told = f"`scripts/faults --seed {seed} --messages {messages}`:"
    _DOCUMENT.write_text(f"{before}{_BEGIN}\n{told}\n\n{table}\n{_END}{after}")


if __name__ == "__main__":
    main()
