"""What a row of the suite is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.world import World


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the suite."""

    told: str
    happen: Callable[[Any], None]
    """Returns when the fault is over; called with a `world`."""
    world: type[World] = World
    servers: int = 1
    """Brokers, and members of the replica set."""
    consumers: int = 1
    expected_seconds: float = 60.0
    """About how long the whole fault lasts, to feed at an even pace meanwhile."""
    bad_share: float = 0.0
