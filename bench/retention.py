"""`python -m bench.retention`: the disk that the embedded queue takes over a month of daily crawls.

Each day has messages sent by the adapter's producer, and one `estela-consume --drain` with ESTELA_RETENTION,
as cron would start it. Only the clock is not real: that of the day, in both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from bench.messages import envelopes

_DAY = 86_400
_TOPIC = "items_topic"
_SHIFTED = """
import sys, time
real, shift = time.time, float(sys.argv.pop(1))
time.time = lambda: real() + shift
"""
_SEND = """
from estela_queue_adapter import get_producer_interface
with get_producer_interface() as producer:
    for line in sys.stdin.buffer:
        producer.send(sys.argv[1], line.rstrip(b"\\n"))
"""
_CONSUME = """
from estela_consumer.cli.consume import main
main()
"""


class Day(NamedTuple):
    """What one day left behind."""

    number: int
    after_crawl: int
    """Bytes of the queue on the disk."""
    after_drain: int
    seconds: float
    """That the drain took, with its retention."""


def month(folder: Path, days: int, messages: int, retention: str | None) -> Iterator[Day]:
    """A queue in `folder` that lives through so many days. Blocks for a while at each step."""
    now = time.time()
    for number in range(1, days + 1):
        shift = (number - days) * _DAY
        data = b"".join(line + b"\n" for line in envelopes(messages, first=number * messages, newer=shift))
        _run(_SEND, shift, folder, _TOPIC, given=data)
        crawled, began = _bytes(folder), time.monotonic()
        options = [] if retention is None else ["--retention", retention]
        _run(_CONSUME, shift, folder, _TOPIC, "--drain", "--json", *options)
        yield Day(number, crawled, _bytes(folder), time.monotonic() - began)
        if time.time() - now > _DAY:
            raise RuntimeError("a simulated day took a real one")


def _run(program: str, shift: int, folder: Path, *arguments: str, given: bytes = b"") -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SHIFTED + program, str(shift), *arguments],
        input=given,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "QUEUE_PLATFORM": "embedded",
            "QUEUE_PLATFORM_PATH": str(folder / "queue.db"),
            "DB_CONNECTION": f"sqlite:///{folder / 'store.db'}",
        },
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.decode()[-2000:]}")


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("queue.db*"))


@click.command()
@click.option("--days", default=30, show_default=True, type=click.IntRange(min=1))
@click.option("--messages", default=100_000, show_default=True, type=click.IntRange(min=1), help="A day.")
@click.option("--retention", default="7d", show_default=True)
def main(days: int, messages: int, retention: str) -> None:
    """Print the bytes of the queue's file after each day."""
    with tempfile.TemporaryDirectory() as folder:
        click.echo("day  after the crawl  after the drain  seconds of the drain")
        for day in month(Path(folder), days, messages, retention):
            crawled, drained = day.after_crawl / 1e6, day.after_drain / 1e6
            click.echo(f"{day.number:3}  {crawled:12.1f} MB  {drained:12.1f} MB  {day.seconds:8.1f}")


if __name__ == "__main__":
    main()
