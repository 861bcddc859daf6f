"""The whole flow, once: serve the shop, crawl it, consume both topics, compare, verify."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from estela_config.names import is_read
from estela_demo.comparison import changes_table, compare
from estela_demo.shop.catalogue import PAGES, repriced
from estela_demo.shop.server import ShopServer
from estela_terminal.output import as_text, flush_output, print_table, say

SETTINGS = "estela_demo.shop.settings"
PROJECT = "shop"
JOB = "demo"
JID = f"{JOB}.shop.{PROJECT}"
ITEMS_SHOWN = 1
DAYS = (1, 2)
CHANGES_SHOWN = 10

_COMMANDS = [sys.executable, "-m", "estela_cli"]


class Demo:
    """One run of the demo, in one folder, with one environment for every command.

    `environ` says where queue and store are, and which topics and database are used: nothing of the kind
    is taken from this process's own environment. `console` is where it shows that it works.
    """

    def __init__(
        self, console: Console, folder: Path, environ: Mapping[str, str], *, pages: int = PAGES
    ) -> None:
        self._console = console
        self._folder = folder
        self._pages = pages
        self._environ = {**_neutral_environment(), **environ}
        self._topics = (environ["ESTELA_ITEMS_TOPIC"], environ["ESTELA_REQUESTS_TOPIC"])
        self._database = environ["ESTELA_DATABASE"]

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
            scraped=_lines(self._folder / f"{JOB}.jsonl"),
            stored=_scraped(self._export("shop")),
            requests_made=_requests(stats),
            requests_stored=self._export("shop.requests"),
            dead_letters=sum(counts["dead_lettered"] for counts in summary["topics"].values()),
        )
        print_table(comparison.table())
        self._show("data", "show", self.dataset("shop"), "-n", str(ITEMS_SHOWN), "--plain")
        return self._show("verify", JID) == 0 and comparison.complete

    def price_history(self) -> bool:
        """Crawl the shop's prices on two days; whether just what changed between them is tracked.

        Raises ClickException if a step fails.
        """
        with ShopServer(pages=self._pages) as shop:
            for shop.day in DAYS:
                stats = self._crawl(shop.url, "prices", f"day-{shop.day}")
                self._step(f"Day {shop.day}: the spider brought {stats['item_scraped_count']:,} prices")
                self._consume()
        changes, prices = self._export("prices_changes"), self._export("prices")
        print_table(changes_table(changes[:CHANGES_SHOWN]))
        changed = {change["key"]["sku"] for change in changes}
        seen_again = [each for each in prices if each["sku"] not in changed and _was_seen_again(each)]
        self._step(
            f"{len(changes):,} prices changed, each a document in {self._database}/prices_changes; "
            f"{len(seen_again):,} were only seen again"
        )
        complete = [self._show("verify", f"day-{day}.prices.{PROJECT}") == 0 for day in DAYS]
        counts, expected = (len(changes), len(changed), len(seen_again)), repriced(self._pages)
        return all(complete) and counts == (expected, expected, stats["item_scraped_count"] - expected)

    def dataset(self, collection: str) -> str:
        """A collection of the demo's database."""
        return f"{self._database}/{collection}"

    def _crawl(self, url: str, spider: str = "shop", job: str = JOB) -> dict[str, Any]:
        settings = {
            "STATS_FILE": self._folder / "stats.json",
            "LOG_FILE": self._folder / f"{job}.log",
            "ESTELA_ITEMS_TOPIC": self._topics[0],
            "ESTELA_REQUESTS_TOPIC": self._topics[1],
        }
        options = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
        options += ["-O", f"{self._folder}/{job}.jsonl"]
        self._run(
            [sys.executable, "-m", "scrapy", "crawl", spider, "-a", f"url={url}", *options],
            "Crawling",
            SCRAPY_SETTINGS_MODULE=SETTINGS,
            SCRAPYD_JOB=job,  # a name that can be said; else it has the time in it
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
        print_table("", as_text(f"$ estela-scrapy {' '.join(arguments)}", "bold"))
        flush_output()  # what it prints goes straight to the same place
        return subprocess.run(
            [*_COMMANDS, *arguments], env=self._environ, cwd=self._folder, check=False
        ).returncode

    def _export(self, collection: str) -> list[dict[str, Any]]:
        """The documents, in the terms of the feed: a date and a decimal are texts."""
        command = [*_COMMANDS, "data", "export", self.dataset(collection)]
        lines = self._run(command, f"Reading {collection} back").splitlines()
        return [json.loads(line, object_hook=_as_in_feed) for line in lines]

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
        line = as_text("✓ ", "green")
        line.append_text(as_text(text))
        print_table(line)


def embedded_environ(folder: Path) -> dict[str, str]:
    """Queue and store in two files of the folder."""
    return {
        "QUEUE_PLATFORM": "embedded",
        "QUEUE_PLATFORM_PATH": str(folder / "queue.db"),
        "DB_CONNECTION": f"sqlite:///{folder / 'store.db'}",
    }


def run_environ(run: str = "") -> dict[str, str]:
    """The names of the database and the topics, which end with `run`."""
    return {
        "ESTELA_DATABASE": f"{PROJECT}{run}",
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


def _as_in_feed(value: dict[str, Any]) -> Any:
    """Extended JSON as the feed has it; a date was stored as its midnight."""
    if "$date" in value:
        return value["$date"].removesuffix("T00:00:00Z")
    return value.get("$numberDecimal", value)


def _scraped(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what the documents say of themselves."""
    return [{name: value for name, value in each.items() if name != "_estela"} for each in documents]


def _was_seen_again(document: dict[str, Any]) -> bool:
    return bool(document["_estela"]["first_seen"] < document["_estela"]["last_seen"])


def _requests(stats: dict[str, Any]) -> int:
    """Every answer the downloader brought, and every request that stayed without one."""
    return int(stats["downloader/response_count"]) + int(stats.get("downloader/exception_count", 0))


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]
