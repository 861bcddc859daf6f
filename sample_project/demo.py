"""The demo of a checkout, on files that are kept, or on real servers.

`python -m sample_project.demo [--kafka]`, from the root of the repository; `scripts/demo` does just that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from estela_demo.demo import JID, Demo, embedded_environ, run_environ
from estela_terminal.commands import DataCommand

FOLDER = Path(".estela-demo").absolute()  # kept, so that one can look around in it


def _print_hints(console: Console, demo: Demo) -> None:
    """What to look at next."""
    store = f"--store sqlite:///{FOLDER.name}/store.db"
    queue = f"QUEUE_PLATFORM_PATH={FOLDER.name}/queue.db"
    console.print("\nLook for yourself:", style="bold")
    for command in (
        f".venv/bin/estela-data {store} list",
        f".venv/bin/estela-data {store} show {demo.dataset('shop')}",
        f".venv/bin/estela-data {store} show {demo.dataset('prices_changes')}",
        f".venv/bin/estela-data {store} export {demo.dataset('shop.requests')}",
        f"{queue} .venv/bin/estela-verify {store} {JID}",
    ):
        console.print(f"  {command}", soft_wrap=True, highlight=False)


@contextlib.contextmanager
def _servers(console: Console) -> Iterator[dict[str, str]]:
    """Real Kafka and real MongoDB: those of the environment, or ones started for the demo."""
    kafka, mongodb = os.environ.get("KAFKA_BOOTSTRAP_SERVERS"), os.environ.get("MONGODB_URI")
    from devservers.kafka import KafkaCluster  # only --kafka needs what the tests need
    from devservers.mongodb import MongoReplicaSet

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        if not kafka:
            with console.status("Starting Apache Kafka (the first time it is fetched) ..."):
                cluster = KafkaCluster(folder / "kafka")
                stack.callback(cluster.stop)
                cluster.start()
            kafka = cluster.bootstrap_servers
        if not mongodb:
            with console.status("Starting mongod ..."):
                replica_set = MongoReplicaSet(folder / "mongodb")
                stack.callback(replica_set.stop)
                try:
                    replica_set.start()
                except FileNotFoundError as error:
                    raise click.ClickException(str(error)) from None
            mongodb = replica_set.uri
        console.print(f"[green]✓[/] Apache Kafka at {kafka}, MongoDB at {mongodb}", highlight=False)
        yield {"QUEUE_PLATFORM": "kafka", "QUEUE_PLATFORM_LISTENERS": kafka, "DB_CONNECTION": mongodb}


@click.command(cls=DataCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kafka", is_flag=True, help="On real Apache Kafka and real MongoDB, started for the demo.")
def main(*, kafka: bool) -> None:
    """Serve a small shop, crawl it, and store what the spider scrapes; then check that it is all there."""
    console = Console()
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    names = run_environ(f"_{uuid.uuid4().hex[:6]}" if kafka else "")  # shared servers may hold earlier runs
    embedded = embedded_environ(FOLDER)
    with _servers(console) if kafka else contextlib.nullcontext(embedded) as surroundings:
        demo = Demo(console, FOLDER, {**names, **surroundings})
        complete = demo()
        console.print("\nThe same shop on two days", style="bold")
        complete = demo.price_history() and complete
    if complete and not kafka:
        _print_hints(console, demo)
    console.print(
        f"\n{'Complete' if complete else 'NOT complete'}, in {time.monotonic() - began:.1f} s.", style="bold"
    )
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
