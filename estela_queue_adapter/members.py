"""Who reads a topic for a group."""

from __future__ import annotations

from typing import NamedTuple


class GroupMember(NamedTuple):
    """One reader, as the queue knows it."""

    client: str
    """What it calls itself; foreign text, maybe empty."""
    host: str
    """Where it connects from; empty if the queue does not tell."""
    partitions: tuple[int, ...]
    """Those of the topic that it reads."""
