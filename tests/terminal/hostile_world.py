"""A queue, a store and an outbox in which everything that can be named is full of what drives terminals."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from click.testing import CliRunner

from estela_consumer.cli.consume import consume
from estela_consumer.cli.data import data
from estela_consumer.cli.dead_letters.command import dead_letters
from estela_consumer.cli.verify import verify
from estela_queue_adapter import open_platform
from estela_scrapy.cli.outbox import outbox
from estela_scrapy.delivery.outbox import Outbox, PendingMessage, RefusedMessage
from estela_wire.closing_record import ClosingRecord, StreamRecord
from estela_wire.topics import JOBS_TOPIC

COMMANDS = {
    "estela-consume": consume,
    "estela-data": data,
    "estela-verify": verify,
    "estela-dead-letters": dead_letters,
    "estela-outbox": outbox,
}

# A colour, a title of the window, the same in the upper control characters, the direction of writing, what
# takes no room, ends of lines, and what rich reads as markup. Each name has a word of its own around it.
EVIL = (
    "\x1b[38;5;201m\x1b]0;t\x07\x9b5m\u202e\u2066\u200b\u2028\x7f\r\n"
    "2026-01-01 INFO all is stored[red][/x]:key:"
)


def evil(word: str) -> str:
    return f"{word}{EVIL}{word}"


JID = f"7.{evil('spider')}.project"  # MongoDB would take no such database
TOPIC = "items"  # no platform takes another one
VALUE, KEY, DATASET = evil("value"), evil("key"), evil("dataset")
HEADER_NAME, HEADER_VALUE, MESSAGE_KEY = evil("header"), evil("content"), evil("messagekey")
JOB = evil("job")
REFUSED = evil("refused")
STORED = f"project/{DATASET}"
FOLDER = evil("folder").replace("/", "")


def fill() -> None:
    """Publish what is stored, what becomes a dead letter, and a closing record; leave an outbox behind."""
    envelope = {"jid": JID, "dataset_name": DATASET, "db_name": "project", "unique": "False"}
    good = {**envelope, "id": f"{1:024x}", "payload": {KEY: VALUE, "n": 1, "deep": {KEY: [VALUE]}}}
    bad = {**envelope, "dataset_name": f"${DATASET}", "payload": {KEY: VALUE}}
    headers = ((HEADER_NAME, HEADER_VALUE.encode()),)
    with contextlib.closing(open_platform().producer()) as producer:
        for message in (json.dumps(good), json.dumps(bad), f"no json {VALUE}"):
            producer.send(TOPIC, message.encode(), key=MESSAGE_KEY.encode(), headers=headers)
        for job in (JOB, f"{JOB}2"):
            record = closing_record(job).to_payload()
            closing = {"jid": f"{job}.spider.project", "id": f"{2:024x}", "payload": record}
            producer.send(JOBS_TOPIC, closing)
    fill_outbox(Path(".estela/outbox.db"))


def closing_record(job: str) -> ClosingRecord:
    now = datetime.now(timezone.utc)
    stream = StreamRecord(
        stream=evil("stream"), topic=TOPIC, jid=JID, db_name="project", dataset_name=DATASET,
        published=1, first_id=f"{1:024x}", last_id=f"{1:024x}",
    )  # fmt: skip
    return ClosingRecord(
        job=job, spider=evil("spider"), project="project", finish_reason=VALUE,
        opened=now, closed=now, streams=(stream,),
    )  # fmt: skip


def fill_outbox(path: Path) -> None:
    box = Outbox(path, 1_000_000)
    letter = PendingMessage(box.session, 1, evil("stream"), TOPIC, VALUE.encode())
    box.add([letter])
    box.reject([RefusedMessage(letter._replace(number=2), REFUSED)])
    box.close()


def invoke(command: str, *arguments: str, **environ: str) -> tuple[int, bytes]:
    """Run it in this process: its exit code, and all that it printed on both outputs."""
    with own_logging():
        result = CliRunner().invoke(
            COMMANDS[command], list(arguments), prog_name=command, env={**os.environ, **environ}
        )
    return result.exit_code, result.output.encode(errors="surrogateescape")


@contextlib.contextmanager
def own_logging() -> Iterator[None]:
    """Undo what a command does to the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
