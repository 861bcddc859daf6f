"""A queue as its operator sees it: topics, groups, positions, and what is removed."""

from estela_queue_adapter.administration.interface import Administration
from estela_queue_adapter.administration.overview import (
    CONSUMER,
    EMPTY,
    STABLE,
    Group,
    PartitionRange,
    Prunable,
    Pruned,
    Topic,
)

__all__ = [
    "CONSUMER",
    "EMPTY",
    "STABLE",
    "Administration",
    "Group",
    "PartitionRange",
    "Prunable",
    "Pruned",
    "Topic",
]
