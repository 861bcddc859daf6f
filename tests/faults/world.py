"""One row's world: a topic, a feeder that fills it, consumers that empty it, and the books."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from bson.objectid import ObjectId
from pymongo import MongoClient

from devservers.kafka import create_topic
from devservers.ports import wait_until
from estela_consumer.dead_letters.replay import DeadLetterReader
from estela_queue_adapter import Consumer, Position, Subscription, open_platform
from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON
from tests.consumer.commands import command
from tests.faults.bad_messages import STRICT, TAKEN_ID, Bad
from tests.faults.outcome import Outcome
from tests.faults.servers import Servers

PARTITIONS = 4
_CATCH_UP = 300.0  # seconds that a row may need until its lag is 0
_FEED_INTERVAL = 0.05  # seconds


class ConsumerProcess:
    """`estela-consume`, as a process that one can end in every way."""

    def __init__(self, topic: str, environ: dict[str, str], log: Path) -> None:
        self._path = log
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [*command("estela-consume"), topic], env=environ, stdout=self._log, stderr=self._log
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def terminate(self) -> None:
        """End it as an operator would, once it has begun; raises where that does not work."""
        wait_until(lambda: " into MongoDB" in self._path.read_text(), "the consumer's first line")
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(90)
        self._log.close()
        if code != 0:
            raise AssertionError(f"estela-consume ended with {code} after SIGTERM")


class World:
    """A row of the suite runs in one of these."""

    def __init__(
        self,
        servers: Servers,
        folder: Path,
        messages: int,
        share: float,
        chance: random.Random,
        client: str = KAFKA_PYTHON,
    ) -> None:
        self.servers = servers
        self.folder = folder
        self.messages = messages
        self.chance = chance
        self.consumers: list[ConsumerProcess] = []
        self._share = share
        self._logs = (folder / f"consumer-{number}.log" for number in itertools.count())
        self._name = f"f{uuid.uuid4().hex[:10]}"
        self._platform = open_platform("kafka", listeners=servers.kafka.bootstrap_servers, client=client)
        self.environ = {**os.environ, **servers.environ, "QUEUE_PLATFORM_CLIENT": client}
        self._good = 0
        self._bad: Counter[str] = Counter()
        self._acknowledged = 0
        self._unsent: list[bytes] = []
        create_topic(servers.kafka.bootstrap_servers, self._name, PARTITIONS)

    @property
    def topic(self) -> str:
        """The row's own topic; the database has the same name."""
        return self._name

    def times(self, full: int) -> int:
        """How often something is done: `full` times in the whole suite, fewer in a small one."""
        return max(1, round(full * self._share))

    def seconds(self, full: float) -> float:
        """How long something lasts, likewise."""
        return full * self._share

    def start_consumer(self, client: str = "") -> ConsumerProcess:
        """One more member of the group, with the row's client or another."""
        environ = {**self.environ, "QUEUE_PLATFORM_CLIENT": client} if client else self.environ
        consumer = ConsumerProcess(self.topic, environ, next(self._logs))
        self.consumers.append(consumer)
        return consumer

    def end_consumer(self, consumer: ConsumerProcess, *, kill: bool) -> None:
        """End one member."""
        self.consumers.remove(consumer)
        consumer.kill() if kill else consumer.terminate()

    def progress(self) -> None:
        """Return when something was stored that was not there before, or when there is nothing left to do."""
        before = self._stored()
        wait_until(lambda: self._stored() > before or self._lag() == 0, "progress", _CATCH_UP)

    def progress_everywhere(self) -> None:
        """Return when the group has moved in each partition that has messages, or nothing is left to do."""
        before = {at.partition: at.offset for at in self._positions()}

        def has_moved() -> bool:
            with contextlib.suppress(QueueError):
                return self._lag() == 0 or all(at.offset > before[at.partition] for at in self._positions())
            return False

        wait_until(has_moved, "progress in each partition", _CATCH_UP)

    def run(
        self,
        fault: Callable[[Any], None],
        consumers: int,
        expected_seconds: float,
        bad: Sequence[Bad] = (),
        bad_share: float = 0.0,
    ) -> Outcome:
        """Feed evenly while the fault happens, wait until all is done, and balance the books."""
        self._prepare()
        try:
            with self.feeding(self.seconds(expected_seconds), bad, bad_share):
                for _ in range(consumers):
                    self.start_consumer()
                fault(self)
            ended = time.monotonic()
            wait_until(lambda: self._lag() == 0, "a lag of 0", _CATCH_UP)
            recovered = time.monotonic() - ended
        except BaseException:
            self.abandon()
            raise
        for consumer in list(self.consumers):
            self.end_consumer(consumer, kill=False)
        return self.balance(recovered)

    def abandon(self) -> None:
        """Leave nothing running that the next row would meet."""
        for consumer in list(self.consumers):
            self.end_consumer(consumer, kill=True)

    @contextlib.contextmanager
    def feeding(self, seconds: float, bad: Sequence[Bad], bad_share: float) -> Iterator[None]:
        """Feed evenly inside the block, and what is left at its end."""
        done = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(done, seconds, bad, bad_share))
        feeder.start()
        try:
            yield
        finally:
            done.set()
            feeder.join()
        if self._acknowledged != self._good + self._bad.total():
            raise AssertionError(f"{self._acknowledged} of {self._good} messages were acknowledged")

    def promised(self) -> Collection[int]:
        """The numbers of the good messages that must be stored."""
        return range(self._good)

    def not_promised(self) -> int:
        """How many good messages the fault itself may have taken away."""
        return 0

    def reactor_pause(self) -> float | None:
        """Milliseconds that the reactor of a crawl stood still at most; None where there was none."""
        return None

    def _prepare(self) -> None:
        with self._client() as client:
            strict = client[self._name].create_collection(
                STRICT, validator={"refused": {"$exists": False}}, write_concern=None
            )
            strict.create_index("unique", unique=True, sparse=True)
            strict.insert_one({"_id": ObjectId(TAKEN_ID), "unique": 1})

    def _feed(self, done: threading.Event, seconds: float, bad: Sequence[Bad], bad_share: float) -> None:
        """Half of the messages at once, the rest evenly; what is left when the fault is over, at once."""
        began, first = time.monotonic(), self.messages // 2
        with self._platform.producer() as producer:

            def send(upto: int) -> None:
                while self._good + self._bad.total() < upto:
                    value = self._next(bad, bad_share)
                    self._deliver(producer, value)

            send(first)
            while not done.wait(_FEED_INTERVAL):
                passed = time.monotonic() - began
                send(first + int((self.messages - first) * passed / max(1.0, seconds)))
                self._resend(producer)
            send(self.messages)
            while self._acknowledged < self._good + self._bad.total():
                self._resend(producer)
                try:
                    producer.flush(5.0)
                except QueueError:
                    continue

    def _next(self, bad: Sequence[Bad], bad_share: float) -> bytes:
        if bad and self.chance.random() < bad_share:
            reason, value = bad[self._bad.total() % len(bad)]
            self._bad[reason] += 1
            return value if isinstance(value, bytes) else json.dumps(value).encode()
        number, self._good = self._good, self._good + 1
        return json.dumps({
            "jid": f"1.s.{self._name}",
            "payload": {"n": number, "text": self._text(), "a.b": [number]},
            "unique": "False",
            "id": str(ObjectId()),
        }).encode()  # fmt: skip

    def _text(self) -> str:
        return "x" * 200

    def _deliver(self, producer: Any, value: bytes) -> None:
        def report(error: QueueError | None) -> None:
            if error is None:
                self._acknowledged += 1
            else:
                self._unsent.append(value)

        try:
            producer.send(self.topic, value, on_delivery=report)
        except QueueError:
            self._unsent.append(value)

    def _resend(self, producer: Any) -> None:
        unsent, self._unsent = self._unsent, []
        for value in unsent:
            self._deliver(producer, value)

    def _lag(self) -> int:
        """How many messages the group has not committed; -1 where nobody can say."""
        try:
            with self._outsider() as consumer:
                return consumer.lag()
        except QueueError:
            return -1

    def _positions(self) -> Sequence[Position]:
        """What the group has committed."""
        with self._outsider() as consumer:
            return consumer.positions()

    def _outsider(self) -> Consumer:
        """It never polls, and so is no member of the group."""
        return self._platform.consumer(Subscription(topic=self.topic))

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self.servers.mongodb.uri, serverSelectionTimeoutMS=60_000)

    def _stored(self) -> int:
        with self._client() as client:
            return int(client[self._name][f"s-1-{self.topic}"].estimated_document_count())

    def balance(self, recovered: float) -> Outcome:
        """Compare what was promised with what is there."""
        with self._client() as client:
            collection = client[self._name].get_collection(f"s-1-{self.topic}")
            counts = Counter(document["n"] for document in collection.find({}, {"_id": 0, "n": 1}))
        letters = Counter(letter.reason for letter in DeadLetterReader(self._platform, self.topic).letters())
        promised = self.promised()
        stored = sum(number in counts for number in promised)
        return Outcome(
            produced=len(promised) + self._bad.total() + self.not_promised(),
            not_promised=self.not_promised(),
            stored=stored,
            missing=len(promised) - stored,
            twice=counts.total() - len(counts),
            dead_letters_expected=self._bad.total(),
            dead_letters_found=letters.total(),
            reasons_right=letters == self._bad,
            seconds_to_recover=round(recovered, 1),
            reactor_pause=self.reactor_pause(),
        )
