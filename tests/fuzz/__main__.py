"""`scripts/fuzz`."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import click

from tests.faults.servers import servers
from tests.fuzz.books import markdown
from tests.fuzz.campaign import Campaign

_DOCUMENT = Path("docs/reliability.md")
_BEGIN, _END = "<!-- fuzz: made by scripts/fuzz --write -->", "<!-- /fuzz -->"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", type=click.FloatRange(min=1), default=600, show_default=True)
@click.option("--seed", type=int, help="Of everything by chance.  [default: a new one, which is printed]")
@click.option("--write", is_flag=True, help="The counts into docs/reliability.md.")
def main(*, seconds: float, seed: int | None, write: bool) -> None:
    """Hostile batches through a real Kafka and estela-consume into a real MongoDB, and past Kafka.

    Ends with 0 if the consumer never ended by itself and never stood still, every message is accounted
    for, and every exit code was right.
    KAFKA_BOOTSTRAP_SERVERS and MONGODB_URI name servers to use, if there are some.
    """
    logging.disable(logging.CRITICAL)  # the reader tells what it cannot read; the consumer's logs are kept
    seed = random.randrange(1 << 30) if seed is None else seed
    click.echo(f"seed {seed}, {seconds:.0f} s")
    folder = Path(tempfile.mkdtemp(prefix="estela-fuzz-"))
    with _servers() as (kafka, mongodb):
        books = Campaign(kafka, mongodb, folder, f"z{uuid.uuid4().hex[:10]}", seed).run(seconds)
    click.echo(json.dumps(books.as_json(), indent=2))
    if write:
        before, _, rest = _DOCUMENT.read_text().partition(_BEGIN)
        after = rest.partition(_END)[2]
        _DOCUMENT.write_text(f"{before}{_BEGIN}\n{markdown(books.as_json())}\n{_END}{after}")
    if books.kept:
        shutil.rmtree(folder)
    else:
        click.echo(f"BROKEN; the logs are in {folder}", err=True)
    sys.exit(0 if books.kept else 1)


@contextlib.contextmanager
def _servers() -> Iterator[tuple[str, str]]:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS"), os.environ.get("MONGODB_URI")
    if given[0] and given[1]:
        yield given[0], given[1]
        return
    with servers(1) as started:
        yield started.kafka.bootstrap_servers, started.mongodb.uri


if __name__ == "__main__":
    main()
