"""What there is in a queue: topics, groups, and what of it can be removed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartitionRange:
    """What there is of one partition: the offsets from `beginning` on, up to before `end`."""

    partition: int
    beginning: int
    end: int


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic."""

    name: str
    partitions: tuple[PartitionRange, ...]

    @property
    def messages(self) -> int:
        """Its offsets: on Kafka some of them are marks of transactions, and of a compacted topic gone."""
        return sum(each.end - each.beginning for each in self.partitions)


@dataclass(frozen=True, slots=True)
class Group:
    """One group."""

    name: str
    state: str
    """In the queue's word; EMPTY if it has no members now."""
    members: int | None
    """None if the queue does not tell how many."""
    protocol: str
    """CONSUMER if its members read topics; what else there is (Kafka Connect's workers, say) has no lag."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in it now."""
        return self.state.upper() in (EMPTY.upper(), "DEAD")

    @property
    def reads(self) -> bool:
        """Whether it reads topics. One that was only ever given positions has no protocol."""
        return self.protocol in (CONSUMER, "")


EMPTY, STABLE = "Empty", "Stable"
CONSUMER = "consumer"


@dataclass(frozen=True, slots=True)
class Prunable:
    """What of one topic can be removed."""

    topic: str
    beginning: int
    until: int
    """The first offset that stays."""
    behind: tuple[tuple[str, int], ...]
    """Groups that have not read what else would be removed, and how many messages of it."""
    read_by_a_group: bool
    """If none has ever read it, it is kept unless asked for: dead letters, say, are read without one."""

    @property
    def messages(self) -> int:
        """How many messages would be removed."""
        return max(0, self.until - self.beginning)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed."""

    messages: int
    bytes_before: int
    """Of the queue on the disk."""
    bytes_after: int
