"""One row, from its fault to its books."""

from __future__ import annotations

import random
from pathlib import Path

from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON
from tests.faults.bad_messages import bad_anywhere, bad_on_mongodb
from tests.faults.consumer_rows import CONSUMER_FAULTS
from tests.faults.crawl_rows import CRAWL_FAULTS
from tests.faults.fault import Fault
from tests.faults.keyed_rows import KEYED_FAULTS
from tests.faults.outcome import Outcome
from tests.faults.servers import Servers

FAULTS = {**CONSUMER_FAULTS, **KEYED_FAULTS, **CRAWL_FAULTS}


def run_fault(
    fault: Fault,
    servers: Servers,
    folder: Path,
    messages: int,
    share: float,
    chance: random.Random,
    client: str = KAFKA_PYTHON,
) -> Outcome:
    """Let it happen to a crawl or to consumers that work; `share` is how much of it, 1 for the whole."""
    world = fault.world(servers, folder, messages, share, chance, client)
    bad = [*bad_anywhere(world.topic), *bad_on_mongodb(world.topic)] if fault.bad_share else []
    return world.run(fault.happen, fault.consumers, fault.expected_seconds, bad, fault.bad_share)
