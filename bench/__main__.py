"""`scripts/bench`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from rich.console import Console

from bench import (
    dots,
    drain,
    embedded,
    extension,
    iteration,
    keyed,
    listen,
    memory,
    profile,
    scale,
    trickle,
    typed,
    unique,
    wide,
)
from bench.document import write as write_document
from bench.table import goals_table, table
from bench.world import world

BENCHES = {
    "drain": drain.run,
    "wide": wide.run,
    "unique": unique.run,
    "memory": memory.run,
    "trickle": trickle.run,
    "scale": scale.run,
    "extension": extension.run,
    "embedded": embedded.run,
    "iteration": iteration.run,
    "typed": typed.run,
    "keyed": keyed.run,
    "dots": dots.run,
    "listen": listen.run,
    "profile": profile.run,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHES)), metavar="[NAME]...")
@click.option("--messages", type=click.IntRange(min=100), default=600_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="What was found, into this file.")
@click.option("--write", is_flag=True, help="The tables of docs/performance.md and its chart.")
def main(*, names: tuple[str, ...], messages: int, rounds: int, json_file: str | None, write: bool) -> None:
    """Measure NAME, or everything: both sides in one run, in turns, on real Kafka and real MongoDB."""
    console = Console()
    outcomes = []
    for name in names or BENCHES:
        with world() as servers, console.status(f"{name} ..."):
            outcome = BENCHES[name](servers, messages, rounds)
            outcome.facts.update(cores=float(os.cpu_count() or 1), load=os.getloadavg()[1])
        console.print(table(outcome), highlight=False)
        outcomes.append(outcome)
        if write:
            write_document([outcome])
    console.print(goals_table(outcomes), highlight=False)
    if json_file:
        Path(json_file).write_text(json.dumps([outcome.as_json() for outcome in outcomes], indent=2))


if __name__ == "__main__":
    main()
