"""What a consumer reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

from estela_queue_adapter.errors import ConfigurationError

_LONGEST_TIMEOUT = 2_147_483  # seconds; Kafka counts milliseconds in 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a consumer reads: the settings every platform shares."""

    topic: str
    """The topic to read."""
    group: str = ""
    """The consumer group; `group_<topic>` if empty."""
    max_timeout: float | None = None
    """The most seconds that the work on what one `poll` brought may take, or in a loop on one message, before
    the queue gives the partitions to another reader of the group; the platform's default if None."""
    idle_timeout: float | None = None
    """Seconds without a message after which a loop ends; loops do not end by themselves if None."""

    def __post_init__(self) -> None:
        if self.max_timeout is not None and not 0 < self.max_timeout <= _LONGEST_TIMEOUT:
            raise ConfigurationError(
                f"QUEUE_PLATFORM_MAX_TIMEOUT={self.max_timeout}: it is a number of seconds above 0, "
                f"up to {_LONGEST_TIMEOUT:,}"
            )
        if self.idle_timeout is not None and (self.idle_timeout < 0 or math.isnan(self.idle_timeout)):
            raise ConfigurationError(
                f"QUEUE_PLATFORM_IDLE_TIMEOUT={self.idle_timeout}: it is a number of seconds, 0 or more"
            )

    @property
    def group_id(self) -> str:
        """The group's name with its default applied."""
        return self.group or f"group_{self.topic}"
