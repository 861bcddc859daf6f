"""A small version of each row of the fault suite; `scripts/faults` runs the whole of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import get_producer_interface
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON
from tests.conftest import or_skip
from tests.consumer.commands import command, envelope
from tests.faults.crawl_world import CrawlWorld
from tests.faults.run import FAULTS, run_fault
from tests.faults.servers import Servers, servers

pytestmark = pytest.mark.servers

MESSAGES = 4_000
SHARE = 0.05


@pytest.fixture(scope="module")
def one_of_each() -> Iterator[Servers]:
    with or_skip("Apache Kafka or mongod"), servers(1) as started:
        yield started


@pytest.fixture(scope="module")
def three_of_each() -> Iterator[Servers]:
    with or_skip("Apache Kafka or mongod"), servers(3) as started:
        yield started


def check_row(name: str, client: str, started: Servers, workdir: Path) -> None:
    """A small version of the row keeps its promises."""
    fault = FAULTS[name]
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(1 << 30)))

    outcome = run_fault(fault, started, workdir, MESSAGES, SHARE, random.Random(seed), client)

    assert outcome.promises_kept, f"seed {seed}: {outcome}"
    assert outcome.produced >= (1 if fault.world is CrawlWorld else MESSAGES)
    # Whoever waits for the network in the reactor stands still for five seconds or more.
    assert (outcome.reactor_pause or 0) < 4_000  # ms


@pytest.mark.parametrize("name", sorted(FAULTS, key=lambda row: (FAULTS[str(row)].servers, row)))
def test_nothing_is_missing_and_nothing_is_there_twice(
    name: str, request: pytest.FixtureRequest, workdir: Path
) -> None:
    is_small = FAULTS[name].servers == 1
    started = request.getfixturevalue("one_of_each" if is_small else "three_of_each")

    check_row(name, KAFKA_PYTHON, started, workdir)


def test_a_signal_ends_the_consumer_within_its_grace_whatever_is_frozen(
    one_of_each: Servers, unique: str, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in one_of_each.environ.items():
        monkeypatch.setenv(name, value)
    [broker], [mongod] = one_of_each.kafka.brokers, one_of_each.mongodb.members
    log, grace, noise = workdir / "log", 4.0, 4.0  # what hangs would wait for ten seconds or more
    with get_producer_interface() as producer, log.open("w") as stderr:
        producer.send(unique, envelope({"n": 0}))
        producer.flush()
        process = subprocess.Popen(
            [*command("estela-consume"), unique, "--grace", str(grace)], stdout=stderr, stderr=stderr
        )
        wait_until(lambda: " 1 stored" in log.read_text(), "the first message")
        producer.send(unique, envelope({"n": 1}))
        producer.send(unique, b"for the dead letters")
        producer.flush()

    try:
        for server in (broker, mongod):
            server.freeze()
        time.sleep(2.0)  # and the writer, the dead letter or the commit hangs
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code = process.wait(60)
        took = time.monotonic() - began
    finally:
        process.kill()
        for server in (broker, mongod):
            server.thaw()

    assert code == 0
    assert took < grace + noise, log.read_text()
