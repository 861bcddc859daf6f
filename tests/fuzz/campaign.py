"""Hostile batches into a real broker, with a consumer at work, and the books of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from bson.objectid import ObjectId
from kafka import KafkaProducer
from pymongo import MongoClient

from devservers.kafka import create_topic
from devservers.ports import wait_until
from estela_queue_adapter import Subscription, open_platform
from estela_queue_adapter.errors import QueueError
from tests.consumer.commands import command
from tests.fuzz.books import Books
from tests.fuzz.corpus import TIMES, Corpus
from tests.fuzz.partition import hostile_partition, read
from tests.fuzz.raw_batches import CODECS, Record, batch_of, hostile_records, now_ms, spoiled
from tests.fuzz.wire import RawProducer

PARTITIONS = 2
_STALL = 60.0  # seconds without a step forward
_LONGEST_NAME = 249  # characters of a topic
_ANY_TIME = {f"message.timestamp.{side}.max.ms": str(2**63 - 1) for side in ("before", "after")}
_TIMEOUT = 120.0  # seconds for a command


class Campaign:
    """One run: two topics, one with the longest name there is and the broker's own timestamps."""

    def __init__(self, bootstrap: str, mongodb: str, folder: Path, name: str, seed: int) -> None:
        self.books = Books(seed)
        self._bootstrap, self._mongodb, self._folder, self._name = bootstrap, mongodb, folder, name
        self._chance = random.Random(seed)
        self._corpus = Corpus(self._chance, name)
        self._topics = (name, name.ljust(_LONGEST_NAME, "x"))
        self._environ = {
            **os.environ,
            "QUEUE_PLATFORM": "kafka",
            "QUEUE_PLATFORM_LISTENERS": bootstrap,
            "DB_CONNECTION": mongodb,
        }
        self._platform = open_platform("kafka", listeners=bootstrap)
        self._invisible = 0  # offsets of aborted messages and of the words that end transactions
        self._wrong: list[str] = []
        for topic, stamped in zip(self._topics, ("CreateTime", "LogAppendTime"), strict=True):
            create_topic(bootstrap, topic, PARTITIONS, {"message.timestamp.type": stamped, **_ANY_TIME})

    def run(self, seconds: float) -> Books:
        """Block for about so long; at least one round with a consumer at work, and one that is drained."""
        began = time.monotonic()
        consumer = self._start_consumer()
        try:
            while True:
                self._round()
                consumer = self._wait_for(consumer)
                if time.monotonic() - began > seconds:
                    break
            self._add(self._ended(consumer))
        finally:
            consumer.kill()
            consumer.wait()
        self._round()
        code, out = self._command("estela-consume", *self._topics, "--drain", "--json")
        self._add(out)
        self._check("--drain", code, 3)
        letters = [letter for topic in self._topics for letter in self._read_letters(topic)]
        self.books.letters_read_back = len(letters)
        self.books.joined = sum(letter["offset"] - _first(letter) for letter in letters)
        self._count()
        self._replay()
        self.books.seconds = round(time.monotonic() - began)
        self.books.wrong = tuple(self._wrong)
        return self.books

    def _round(self) -> None:
        """A little of everything into each partition, the good ones last."""
        for topic in self._topics:
            for partition in range(PARTITIONS):
                self._send_hostile(topic, partition)
                self._send_transactions(topic, partition)
                self._send_markers(topic, partition)
        for _ in range(10):
            self.books.damaged_partitions += 1
            try:
                read(self._chance, hostile_partition(self._chance, 12))
            except AssertionError as error:
                self.books.stalls += 1
                self._wrong.append(str(error))

    def _send_hostile(self, topic: str, partition: int) -> None:
        for _ in range(self._chance.choice([3, 30])):
            batch = batch_of(
                hostile_records(self._chance, self._corpus, topic, 30),
                codec=self._chance.choice(CODECS),
                timestamp=self._chance.choice(TIMES),
            )
            if self._chance.random() < 0.3:
                batch = spoiled(self._chance, batch)
            self._send(topic, partition, batch)

    def _send(self, topic: str, partition: int, batch: bytes) -> bool:
        """Whether the broker took it; a new connection for each, as it hangs up on what it cannot parse."""
        self.books.batches += 1
        try:
            with RawProducer(self._bootstrap) as producer:
                taken = producer.send(topic, partition, batch).error == 0
        except OSError:
            taken = False
        self.books.refused += not taken
        return taken

    def _send_transactions(self, topic: str, partition: int) -> None:
        """One that is aborted and one that is not; returns when the broker has ended both there."""
        before, count = self._ends(topic)[partition], 0
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, transactional_id=f"{topic[:200]}-fuzz")
        try:
            producer.init_transactions()
            for aborted in (True, False):
                producer.begin_transaction()
                kind = "aborted" if aborted else "marker"
                sent = [
                    producer.send(topic, self._marker(kind), partition=partition)
                    for _ in range(self._chance.choice([1, 20]))
                ]
                for future in sent:
                    future.get(20)
                producer.abort_transaction() if aborted else producer.commit_transaction()
                count += len(sent) + 1
                self._invisible += 1 + (len(sent) if aborted else 0)
                self.books.markers += 0 if aborted else len(sent)
        finally:
            producer.close(timeout=5)
        wait_until(lambda: self._ends(topic)[partition] == before + count, "the end of the transactions")

    def _send_markers(self, topic: str, partition: int) -> None:
        records = [Record(None, self._marker("marker")) for _ in range(5)]
        if self._send(topic, partition, batch_of(records, timestamp=now_ms())):
            self.books.markers += len(records)
        else:
            self._wrong.append("a good batch was refused")

    def _marker(self, kind: str) -> bytes:
        envelope = {"jid": f"1.s.{self._name}", "payload": {"kind": kind}, "dataset_name": "markers"}
        return json.dumps({**envelope, "id": str(ObjectId())}).encode()

    def _start_consumer(self) -> subprocess.Popen[bytes]:
        with (self._folder / "consumer.log").open("ab") as log:
            return subprocess.Popen(
                [*command("estela-consume"), *self._topics, "--json"],
                env=self._environ,
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def _wait_for(self, consumer: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Return when all is read; with another consumer, if this one ended."""
        lag, since = -1, time.monotonic()
        while (now := self._lag()) != 0:
            if consumer.poll() is not None:
                self.books.exits += 1
                self._add(consumer.communicate()[0])
                consumer = self._start_consumer()
            if now != lag:
                lag, since = now, time.monotonic()
            elif time.monotonic() - since > _STALL:
                self.books.stalls += 1
                raise AssertionError(f"no step forward in {_STALL:.0f} s, {now} messages left: {self.books}")
            time.sleep(0.2)
        return consumer

    def _ended(self, consumer: subprocess.Popen[bytes]) -> bytes:
        consumer.send_signal(signal.SIGTERM)
        out, _ = consumer.communicate(timeout=_TIMEOUT)
        self._check("SIGTERM", consumer.returncode, 0)
        return out

    def _ends(self, topic: str) -> list[int]:
        """The offset behind the last message of each partition."""
        with self._platform.consumer(Subscription(topic=topic)) as consumer:
            return [position.offset for position in sorted(consumer.end_positions())]

    def _lag(self) -> int:
        lag = 0
        for topic in self._topics:
            consumer = self._platform.consumer(Subscription(topic=topic))  # never polls: no member
            try:
                lag += consumer.lag()
            except QueueError:
                return -1
            finally:
                consumer.close()
        return lag

    def _add(self, summary: bytes) -> None:
        """The counts of a consumer that has ended."""
        for counts in json.loads(summary)["topics"].values():
            self.books.stored += counts["stored"]
            self.books.present += counts["present"]
            self.books.dead_letters += counts["dead_lettered"]
            self.books.tombstones += counts["tombstones"]

    def _read_letters(self, topic: str) -> list[dict[str, Any]]:
        """The letters that the commands show."""
        code, out = self._command("estela-dead-letters", "export", topic)
        self._check("export", code, 0)
        letters = [json.loads(line) for line in out.splitlines()]
        code, out = self._command("estela-dead-letters", "list", topic, "--json")
        listed = sum(json.loads(line)["letters"] for line in out.splitlines())
        self._check("list", listed, len(letters))
        return letters

    def _replay(self) -> None:
        """Send every letter back: what is still wrong makes a message a letter again, and only one."""
        topic = self._topics[-1]
        letters = len(self._read_letters(topic))
        code, _ = self._command("estela-dead-letters", "replay", topic)
        self._check("replay", code in (0, 3), expected=True)
        code, _ = self._command("estela-consume", topic, "--drain", "--json")
        self._check("--drain after the replay", code, 3)
        self._check("letters after the replay", len(self._read_letters(topic)), letters)

    def _count(self) -> None:
        ends = 0
        for topic in self._topics:
            ends += sum(self._ends(topic))
        self._check("the lag", self._lag(), 0)
        self.books.messages = ends - self._invisible
        with MongoClient[dict[str, Any]](self._mongodb) as client:
            kinds = [document["kind"] for document in client[self._name]["markers"].find({}, {"kind": 1})]
        self.books.markers_stored = kinds.count("marker")
        self.books.aborted_stored = kinds.count("aborted")

    def _command(self, name: str, *arguments: str) -> tuple[int, bytes]:
        with (self._folder / "commands.log").open("ab") as log:
            done = subprocess.run(
                [*command(name), *arguments],
                env=self._environ,
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=log,
                timeout=10 * _TIMEOUT,
                check=False,
            )
        return done.returncode, done.stdout

    def _check(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            self._wrong.append(f"{what}: {found}, not {expected}")


def _first(letter: dict[str, Any]) -> int:
    """The first of the offsets that a letter stands for: it may hold what cannot be told apart."""
    first: int | None = letter["unreadable_from"]
    return letter["offset"] if first is None else first
