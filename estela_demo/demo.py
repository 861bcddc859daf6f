"""The whole flow, once: serve the shop, crawl it, consume both topics, compare, verify."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from estela_config.names import is_read
from estela_demo.comparison import compare
from estela_demo.shop.catalogue import PAGES
from estela_demo.shop.server import ShopServer
from estela_terminal.output import as_text, say

SETTINGS = "estela_demo.shop.settings"
PROJECT = "shop"
ITEMS_SHOWN = 3

_COMMANDS = [sys.executable, "-m", "estela_cli"]


class Demo:
    """One run of the demo, in one folder, with one environment for every command.

    `environ` says where queue and store are, which topics are used, and the job's name: nothing of the kind
    is taken from this process's own environment.
    """

    def __init__(
        self, console: Console, folder: Path, environ: Mapping[str, str], *, pages: int = PAGES
    ) -> None:
        self._console = console
        self._folder = folder
        self._pages = pages
        self._environ = {**_neutral_environment(), **environ}
        self._topics = (environ["ESTELA_ITEMS_TOPIC"], environ["ESTELA_REQUESTS_TOPIC"])
        self._job = environ["ESTELA_SPIDER_JOB"]

    def __call__(self) -> bool:
        """Run every step; whether what was scraped is what is stored. Raises ClickException if one fails."""
        with ShopServer(pages=self._pages) as shop:
            self._step(f"The shop is open at {shop.url}")
            stats = self._crawl(shop.url)
        self._step(
            f"The spider brought {stats['item_scraped_count']:,} items by {_requests(stats):,} requests "
            f"in {stats['elapsed_time_seconds']:.1f} s"
        )
        summary = self._consume()
        comparison = compare(
            scraped=_lines(self._folder / "items.jsonl"),
            stored=self._export("items"),
            requests_made=_requests(stats),
            requests_stored=self._export("requests"),
            dead_letters=sum(counts["dead_lettered"] for counts in summary["topics"].values()),
        )
        self._console.print(comparison.table())
        self._show("data", "show", self.dataset("items"), "-n", str(ITEMS_SHOWN))
        return self._show("verify", self._job) == 0 and comparison.complete

    def dataset(self, stream: str) -> str:
        """Where the `items` or `requests` are stored."""
        job, spider, project = self._job.split(".")
        topic = self._topics[0 if stream == "items" else 1]
        return f"{project}/{spider}-{job}-{topic}"

    def _crawl(self, url: str) -> dict[str, Any]:
        settings = {
            "STATS_FILE": self._folder / "stats.json",
            "LOG_FILE": self._folder / "crawl.log",
            "ESTELA_ITEMS_TOPIC": self._topics[0],
            "ESTELA_REQUESTS_TOPIC": self._topics[1],
        }
        options = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
        options += ["-O", f"{self._folder}/items.jsonl"]
        self._run(
            [sys.executable, "-m", "scrapy", "crawl", "shop", "-a", f"url={url}", *options],
            "Crawling",
            SCRAPY_SETTINGS_MODULE=SETTINGS,
        )
        stats: dict[str, Any] = json.loads((self._folder / "stats.json").read_text())
        return stats

    def _consume(self) -> dict[str, Any]:
        command = [*_COMMANDS, "consume", *self._topics, "--drain", "--json"]
        summary: dict[str, Any] = json.loads(self._run(command, "Consuming both topics", allowed=(0, 3)))
        total = sum(counts["stored"] for counts in summary["topics"].values())
        self._step(f"The consumer stored {total:,} documents in {summary['seconds']:.1f} s")
        return summary

    def _show(self, *arguments: str) -> int:
        """Run one of the commands with its output where ours goes; its exit code."""
        self._console.print(f"\n$ estela-scrapy {' '.join(arguments)}", style="bold", highlight=False)
        sys.stdout.flush()  # what it prints goes straight to the same place
        return subprocess.run(
            [*_COMMANDS, *arguments], env=self._environ, cwd=self._folder, check=False
        ).returncode

    def _export(self, stream: str) -> list[Any]:
        command = [*_COMMANDS, "data", "export", self.dataset(stream)]
        return [json.loads(line) for line in self._run(command, f"Reading the {stream} back").splitlines()]

    def _run(self, command: list[str], what: str, *, allowed: tuple[int, ...] = (0,), **environ: str) -> str:
        with self._console.status(f"{what} ..."):
            done = subprocess.run(
                command,
                env={**self._environ, **environ},
                cwd=self._folder,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode not in allowed:
            say(done.stderr[-3000:])
            raise click.ClickException(f"{what}: exit code {done.returncode}")
        return done.stdout

    def _step(self, text: str) -> None:
        self._console.print(as_text("✓", "green"), as_text(text))


def embedded_environ(folder: Path) -> dict[str, str]:
    """Queue and store in two files of the folder."""
    return {
        "QUEUE_PLATFORM": "embedded",
        "QUEUE_PLATFORM_PATH": str(folder / "queue.db"),
        "DB_CONNECTION": f"sqlite:///{folder / 'store.db'}",
    }


def run_environ(run: str = "") -> dict[str, str]:
    """The names of the job and the topics, which end with `run`."""
    return {
        "ESTELA_SPIDER_JOB": f"demo{run}.shop.{PROJECT}",
        "ESTELA_ITEMS_TOPIC": f"items_topic{run}",
        "ESTELA_REQUESTS_TOPIC": f"requests_topic{run}",
        "ESTELA_JOBS_TOPIC": f"jobs_topic{run}",
    }


def _neutral_environment() -> dict[str, str]:
    """This process's environment without what configures a crawl or a command of ours.

    Nor does a project around the folder: SCRAPY_PROJECT names none of it.
    """
    kept = {
        name: value for name, value in os.environ.items() if not (is_read(name) or name.startswith("SCRAPY_"))
    }
    return {**kept, "SCRAPY_PROJECT": "estela_demo"}


def _requests(stats: dict[str, Any]) -> int:
    """Every answer the downloader brought, and every request that stayed without one."""
    return int(stats["downloader/response_count"]) + int(stats.get("downloader/exception_count", 0))


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]
