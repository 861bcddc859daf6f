"""What every platform promises after `close`, at the end of the interpreter, and in forked processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from itertools import islice
from typing import Any, ClassVar

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import Platform, Producer, Subscription
from estela_queue_adapter.errors import DeliveryError, ProducerClosed, QueueError
from tests.adapter.loops_contract import IDLE, Reader

EXITS = int(os.environ.get("ESTELA_TEST_EXITS", "2"))  # how often each process is to end by itself
_END_TIMEOUT = 60  # seconds for a process; one that hangs does so for ever

# Sends, loops and logs when the interpreter is ending, as estela's log handler does.
_LATE = """
import atexit, builtins, sys
from estela_queue_adapter import get_consumer_interface, get_producer_interface

arguments, topic, closed = {arguments!r}, {topic!r}, {closed!r}
producer = get_producer_interface(**arguments)
consumer = get_consumer_interface(topic=topic, **arguments)
fresh = get_producer_interface(**arguments)

def use(when):
    uses = dict(send=lambda: producer.send(topic, when), poll=lambda: consumer.poll(0.1, 1))
    uses.update(flush=producer.flush)
    if when == "destructor":
        uses.update(fresh=lambda: fresh.send(topic, when), close=producer.close, leave=consumer.close)
    for name, call in uses.items():
        try:
            call()
            print(when, name, "worked")
        except Exception as error:
            print(when, name, type(error).__name__)

class Late:
    def __del__(self):
        use("destructor")

atexit.register(use, "atexit")
builtins.kept = Late()
producer.send(topic, "main")
consumer.poll(0.1, 1)
if closed:
    producer.close()
    consumer.close()
"""

_FORK = """
import os, sys
from estela_queue_adapter import get_consumer_interface, get_producer_interface
from estela_queue_adapter.errors import ConsumerClosed

arguments, topic = {arguments!r}, {topic!r}
producer = get_producer_interface(**arguments)
consumer = get_consumer_interface(topic=topic, idle_timeout=20, **arguments)
producer.send(topic, "before")
producer.flush()
assert next(iter(consumer)).value == "before"
for number in range(100):
    producer.send(topic, ["parent", number])
child = os.fork()
if child == 0:
    try:
        consumer.poll(0.1, 1)
    except ConsumerClosed:
        producer.send(topic, "child")
    consumer.close()
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
producer.send(topic, "after")
producer.close()
seen = []
for message in consumer:
    seen.append(message.value)
    if len(seen) == 103:
        break
consumer.close()
print(seen.count("before"), seen.count("child"), seen.count("after"), len(seen))
"""


def run(program: str, **values: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program).format(**values)],
        capture_output=True,
        text=True,
        timeout=_END_TIMEOUT,
        check=True,
    )


class ShutdownContract:
    """Part of the platforms' contract, which gives the fixtures."""

    notices: ClassVar[list[str]] = []
    """What a process that uses the platform logs, if all goes well."""

    def test_what_is_closed_says_so_at_once_and_may_be_closed_again(
        self, platform: Platform, unique: str
    ) -> None:
        producer, consumer = platform.producer(), platform.consumer(Subscription(topic=unique))
        producer.send(unique, 1)
        consumer.poll(0.0, 1)

        for _ in range(2):
            producer.close()
            consumer.close()

        for use in (lambda: producer.send(unique, 2), producer.get_connection):
            began = time.monotonic()
            with pytest.raises(ProducerClosed):
                use()
            assert time.monotonic() - began < 5
        producer.flush()

    def test_a_producer_that_another_thread_closes_loses_nothing_that_it_took(
        self, platform: Platform, reader: Reader, unique: str
    ) -> None:
        producer, taken = platform.producer(), list[int]()

        def send() -> None:
            with contextlib.suppress(ProducerClosed):
                for number in range(1_000_000):
                    producer.send(unique, number, key=b"one partition")
                    taken.append(number)

        thread = threading.Thread(target=send)
        thread.start()
        wait_until(lambda: len(taken) > 100, "messages")
        producer.close()
        thread.join(30)
        assert not thread.is_alive()

        sent = [message.value for message in islice(reader(idle_timeout=IDLE), len(taken))]
        assert sent == taken

    def test_a_close_that_does_not_wait_tells_of_every_message(
        self, platform: Platform, producer: Producer, unique: str
    ) -> None:
        producer.send(unique, "the topic exists")
        producer.flush()
        reports: list[QueueError | None] = []
        hasty = platform.producer()
        hasty.get_connection()
        for number in range(300):
            hasty.send(unique, number, on_delivery=reports.append)
        with contextlib.suppress(DeliveryError):  # it may be that fast
            hasty.close(0.0)

        wait_until(lambda: len(reports) == 300, "a report for each message", 20)
        assert {type(report) for report in reports} <= {ProducerClosed, type(None)}

    @pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
    def test_a_process_that_sends_while_it_ends_does_end(
        self, elsewhere: dict[str, Any], producer: Producer, reader: Reader, unique: str, closed: bool
    ) -> None:
        producer.send(unique, "the topic exists")
        producer.flush()

        for _ in range(EXITS):
            done = run(_LATE, arguments=elsewhere, topic=unique, closed=closed)

            lines = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
            assert lines == {
                "atexit send": "ProducerClosed" if closed else "worked",
                "atexit poll": "ConsumerClosed" if closed else "worked",
                "atexit flush": "worked",
                "destructor send": "ProducerClosed",
                "destructor fresh": "ProducerClosed",
                "destructor poll": "ConsumerClosed",
                "destructor flush": "worked",
                "destructor close": "worked",
                "destructor leave": "worked",
            }, done.stderr
            assert done.stderr.splitlines() == self.notices, done.stderr

        other = reader(group="other", idle_timeout=IDLE)
        count = sum(end.offset for end in other.end_positions())
        sent = Counter(message.value for message in islice(other, count))
        assert sent == {"the topic exists": 1, "main": EXITS} | ({} if closed else {"atexit": EXITS})

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
    def test_a_forked_process_sends_by_itself_and_reads_nothing(
        self, elsewhere: dict[str, Any], unique: str
    ) -> None:
        done = run(_FORK, arguments=elsewhere, topic=unique)

        assert done.stdout == "1 1 1 103\n", done.stderr
