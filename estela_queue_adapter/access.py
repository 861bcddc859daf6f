"""What somebody may do with topics, as far as a queue tells without being written to."""

from __future__ import annotations

from dataclasses import dataclass

READ, WRITE, CREATE = "read", "write", "create"


@dataclass(frozen=True, slots=True)
class TopicAccess:
    """One topic as this login sees it."""

    topic: str
    partitions: int
    """0 if the topic does not exist, or is not shown to this login."""
    operations: frozenset[str] | None = None
    """Of READ, WRITE and CREATE those that are permitted; None if the queue knows no permissions, or does not
    tell them."""
