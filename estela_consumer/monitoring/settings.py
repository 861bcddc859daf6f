"""What the monitoring is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from estela_pages.address import ListenAddress
from estela_wire.topics import JOBS_TOPIC


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """Where the monitoring is, and what it shows of the settings in force."""

    address: ListenAddress
    jobs_topic: str = JOBS_TOPIC
    """Where closing records are; empty: nowhere."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """Options and their values, without secrets."""
    group: str = ""
    """As the consumer was told; empty: `group_<topic>`."""
