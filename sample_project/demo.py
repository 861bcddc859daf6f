"""The whole flow, once: serve the shop, crawl it, consume both topics, compare, verify.

`python -m sample_project.demo [--kafka]`, from the root of the repository; `scripts/demo` does just that.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sample_project.comparison import compare
from sample_project.shop.server import ShopServer

PROJECT = Path(__file__).parent
FOLDER = Path(".estela-demo").absolute()  # kept, so that one can look around in it


class Demo:
    """One run of the demo, in one folder, with one environment for every command."""

    def __init__(self, console: Console, environ: dict[str, str]) -> None:
        self._console = console
        self._environ = {**os.environ, **environ}
        self._topics = (environ["ESTELA_ITEMS_TOPIC"], environ["ESTELA_REQUESTS_TOPIC"])
        self._job = environ["ESTELA_SPIDER_JOB"]

    def __call__(self) -> bool:
        """Run every step; whether what was scraped is what is stored."""
        with ShopServer() as shop:
            self._step(f"The shop is open at {shop.url}")
            stats = self._crawl(shop.url)
        self._step(
            f"The spider brought {stats['item_scraped_count']:,} items by {_requests(stats):,} requests "
            f"in {stats['elapsed_time_seconds']:.1f} s"
        )
        summary = self._consume()
        comparison = compare(
            scraped=_lines(FOLDER / "items.jsonl"),
            stored=self._export("items"),
            requests_made=_requests(stats),
            requests_stored=self._export("requests"),
            dead_letters=sum(counts["dead_lettered"] for counts in summary["topics"].values()),
        )
        self._console.print(comparison.table())
        return self._verified() and comparison.complete

    def hints(self) -> None:
        """What to look at next."""
        store = f"--store {self._environ['DB_CONNECTION']}"
        queue = f"QUEUE_PLATFORM_PATH={FOLDER.name}/queue.db"
        self._console.print("\nLook for yourself:", style="bold")
        for command in (
            f".venv/bin/estela-data {store} list",
            f".venv/bin/estela-data {store} show {self._dataset('items')}",
            f".venv/bin/estela-data {store} export {self._dataset('requests')}",
            f"{queue} .venv/bin/estela-verify {store} {self._job}",
        ):
            self._console.print(f"  {command}", soft_wrap=True, highlight=False)

    def _crawl(self, url: str) -> dict[str, Any]:
        settings = {
            "STATS_FILE": FOLDER / "stats.json",
            "LOG_FILE": FOLDER / "crawl.log",
            "ESTELA_ITEMS_TOPIC": self._topics[0],
            "ESTELA_REQUESTS_TOPIC": self._topics[1],
        }
        options = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
        self._run(
            [
                sys.executable,
                "-m",
                "scrapy",
                "crawl",
                "shop",
                "-a",
                f"url={url}",
                *options,
                "-O",
                f"{FOLDER}/items.jsonl",
            ],
            "Crawling",
            cwd=PROJECT,
        )
        stats: dict[str, Any] = json.loads((FOLDER / "stats.json").read_text())
        return stats

    def _consume(self) -> dict[str, Any]:
        command = _script("estela_consumer.cli.consume", *self._topics, "--drain", "--json")
        summary: dict[str, Any] = json.loads(self._run(command, "Consuming both topics", allowed=(0, 3)))
        total = sum(counts["stored"] for counts in summary["topics"].values())
        self._step(f"The consumer stored {total:,} documents in {summary['seconds']:.1f} s")
        return summary

    def _verified(self) -> bool:
        """Whether `estela-verify` says so too: it asks the crawl's closing record, not its files."""
        command = _script("estela_consumer.cli.verify", self._job)
        self._console.print(f"\n$ estela-verify {self._job}", style="bold", highlight=False)
        sys.stdout.flush()  # what it prints goes straight to the same place
        return subprocess.run(command, env=self._environ, check=False).returncode == 0

    def _dataset(self, stream: str) -> str:
        job, spider, project = self._job.split(".")
        topic = self._topics[0 if stream == "items" else 1]
        return f"{project}/{spider}-{job}-{topic}"

    def _export(self, stream: str) -> list[Any]:
        command = _script("estela_consumer.cli.data", "export", self._dataset(stream))
        return [json.loads(line) for line in self._run(command, f"Reading the {stream} back").splitlines()]

    def _run(
        self, command: list[str], what: str, *, cwd: Path | None = None, allowed: tuple[int, ...] = (0,)
    ) -> str:
        with self._console.status(f"{what} ..."):
            done = subprocess.run(
                command, env=self._environ, cwd=cwd, capture_output=True, text=True, check=False
            )
        if done.returncode not in allowed:
            self._console.print(done.stderr[-3000:], highlight=False, markup=False)
            raise click.ClickException(f"{what}: exit code {done.returncode}")
        return done.stdout

    def _step(self, text: str) -> None:
        self._console.print(f"[green]✓[/] {text}", highlight=False)


def _script(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"from {module} import main; main()", *arguments]


def _requests(stats: dict[str, Any]) -> int:
    """Every answer the downloader brought, and every request that stayed without one."""
    return int(stats["downloader/response_count"]) + int(stats.get("downloader/exception_count", 0))


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


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


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kafka", is_flag=True, help="On real Apache Kafka and real MongoDB, started for the demo.")
def main(*, kafka: bool) -> None:
    """Serve a small shop, crawl it, and store what the spider scrapes; then check that it is all there."""
    console = Console()
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    run = f"_{uuid.uuid4().hex[:6]}" if kafka else ""  # a shared Kafka or MongoDB may hold earlier runs
    environ = {
        "ESTELA_SPIDER_JOB": f"demo{run}.shop.shop",
        "ESTELA_ITEMS_TOPIC": f"items_topic{run}",
        "ESTELA_REQUESTS_TOPIC": f"requests_topic{run}",
        "ESTELA_JOBS_TOPIC": f"jobs_topic{run}",
    }
    embedded = {
        "QUEUE_PLATFORM": "embedded",
        "QUEUE_PLATFORM_PATH": str(FOLDER / "queue.db"),
        "DB_CONNECTION": f"sqlite:///{FOLDER.name}/store.db",
    }
    with _servers(console) if kafka else contextlib.nullcontext(embedded) as surroundings:
        demo = Demo(console, {**environ, **surroundings})
        complete = demo()
    if complete and not kafka:
        demo.hints()
    console.print(
        f"\n{'Complete' if complete else 'NOT complete'}, in {time.monotonic() - began:.1f} s.", style="bold"
    )
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
