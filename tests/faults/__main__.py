"""`scripts/faults`."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA
from estela_terminal.output import DataConsole
from tests.faults.outcome import COLUMNS, cell, markdown
from tests.faults.run import FAULTS, run_fault
from tests.faults.servers import Servers, servers

_DOCUMENT = Path("docs/reliability.md")
_BEGIN = {
    KAFKA_PYTHON: "<!-- faults: made by scripts/faults --write -->",
    LIBRDKAFKA: "<!-- faults: made by scripts/faults --client librdkafka --write -->",
}
_END = "<!-- /faults -->"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--only", multiple=True, type=click.Choice(list(FAULTS)), help="Only this row; may be given again."
)
@click.option(
    "--messages", type=click.IntRange(min=1), default=100_000, show_default=True, help="In each row."
)
@click.option(
    "--client", type=click.Choice([KAFKA_PYTHON, LIBRDKAFKA]), default=KAFKA_PYTHON, show_default=True,
    help="What carries the messages.",
)  # fmt: skip
@click.option("--seed", type=int, help="Of every random moment.  [default: a new one, which is printed]")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False), help="The table as JSON, into this file."
)
@click.option(
    "--write", is_flag=True, help="The table into docs/reliability.md; with --only, only these rows of it."
)
def main(
    *, only: tuple[str, ...], messages: int, client: str, seed: int | None, json_file: str | None, write: bool
) -> None:
    """Break everything around crawl and consumer, on real Kafka and real MongoDB, and balance the books.

    Ends with 0 when in every row nothing is missing, nothing is there twice, and each bad message is a dead
    letter that says why.
    """
    console = DataConsole(sys.stdout)
    seed = random.randrange(1 << 30) if seed is None else seed
    console.print(f"seed {seed}, {messages:,} messages in each row, by {client}")
    outcomes: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        started: dict[int, Servers] = {}
        for name in only or FAULTS:
            fault = FAULTS[name]
            if fault.servers not in started:
                started[fault.servers] = stack.enter_context(servers(fault.servers))
            with console.status(f"{name}: {fault.told} ..."):
                outcomes[name] = _row(console, name, started[fault.servers], messages, seed, client)
    _print(console, outcomes)
    if json_file:
        Path(json_file).write_text(
            json.dumps({"messages": messages, "client": client, "faults": outcomes}, indent=2)
        )
    if write:
        _write(outcomes, client)
    sys.exit(0 if all(books["promises_kept"] for books in outcomes.values()) else 1)


def _row(
    console: Console, name: str, servers: Servers, messages: int, seed: int, client: str
) -> dict[str, Any]:
    """One row's books, or its error; the consumers' logs are kept where a promise was broken."""
    fault, began = FAULTS[name], time.monotonic()
    logs = Path(tempfile.mkdtemp(prefix="estela-faults-"))
    books: dict[str, Any] = {"told": fault.told, "seed": seed}
    try:
        outcome = run_fault(fault, servers, logs, messages, 1.0, random.Random(f"{seed} {name}"), client)
        books |= outcome.as_json()
    except Exception as error:  # noqa: BLE001  (the other rows go on)
        books |= {"promises_kept": False, "error": f"{type(error).__name__}: {error}"}
    seconds = time.monotonic() - began
    if books["promises_kept"]:
        console.print(f"{name}: kept, {seconds:.0f} s")
        shutil.rmtree(logs)
    else:
        why = books.get("error", "the books do not balance")
        console.print(f"{name}: BROKEN, {seconds:.0f} s: {why}; the logs are in {logs}")
    return books


def _print(console: Console, outcomes: dict[str, dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("row", no_wrap=True, overflow="fold")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for name, books in outcomes.items():
        table.add_row(name, *(cell(books[column]) if column in books else "?" for column in COLUMNS))
    console.print(table)


def _write(outcomes: dict[str, dict[str, Any]], client: str) -> None:
    begin = _BEGIN[client]
    before, _, rest = _DOCUMENT.read_text().partition(begin)
    table, _, after = rest.partition(_END)
    _DOCUMENT.write_text(f"{before}{begin}\n{markdown(table, outcomes, FAULTS)}\n{_END}{after}")


if __name__ == "__main__":
    main()
