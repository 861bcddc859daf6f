"""A small version of each row of the fault suite; `scripts/faults` runs the whole of it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import or_skip
from tests.faults.run import FAULTS, run_fault
from tests.faults.servers import Servers, servers
from tests.faults.world import World

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


@pytest.mark.parametrize("name", [*sorted(FAULTS, key=lambda row: FAULTS[str(row)].servers)])
def test_nothing_is_missing_and_nothing_is_there_twice(
    name: str, request: pytest.FixtureRequest, workdir: Path
) -> None:
    fault = FAULTS[name]
    started = request.getfixturevalue("one_of_each" if fault.servers == 1 else "three_of_each")
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(1 << 30)))

    outcome = run_fault(fault, started, workdir, MESSAGES, SHARE, random.Random(seed))

    assert outcome.promises_kept, f"seed {seed}: {outcome}"
    assert outcome.produced >= (MESSAGES if fault.world is World else 1)
    # Whoever waits for the network in the reactor stands still for five seconds or more.
    assert (outcome.reactor_pause or 0) < 1_000
