"""What an operator asks a queue, and does to it. The contract, stated once.

Times are float seconds since the epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from estela_queue_adapter.errors import PermanentError
from estela_queue_adapter.messages import Position


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


class Administration(ABC):
    """A queue as its operator sees it. It joins no group and reads no message. Not thread-safe.

    Every method but `close` blocks for as long as the queue takes to answer, and raises QueueUnreachable and
    AccessDenied.
    """

    @abstractmethod
    def topics(self, names: Collection[str] | None = None) -> Sequence[Topic]:
        """All topics but the queue's own, by name; or those of these names.

        Raises TopicMissing, TopicDenied, and ConfigurationError for what is no name of a topic.
        """

    @abstractmethod
    def groups(self, names: Collection[str] | None = None) -> Sequence[Group]:
        """All groups, by name; or those of these names that there are."""

    @abstractmethod
    def committed(self, group: str) -> Sequence[Position]:
        """What the group has committed, of every topic, in order; nothing of partitions that it has not."""

    @abstractmethod
    def first_since(self, topic: str, moment: float) -> Sequence[Position]:
        """For each partition the first message of `moment` or later, else its end. Raises TopicMissing."""

    @abstractmethod
    def set_committed(self, group: str, positions: Sequence[Position]) -> None:
        """Have the group go on there. Raises GroupInUse if it has members, and nothing is changed then."""

    @abstractmethod
    def remove_group(self, group: str) -> None:
        """Forget the group and its positions. Raises GroupInUse if it has members."""

    def prunable(
        self,
        topics: Collection[str] | None = None,
        before: float | None = None,
        *,
        without_group: bool = False,
    ) -> list[Prunable]:
        """What every group has read of these topics, or of all; only what is older than `before`, if given.

        `without_group`: if no group has ever read a topic, all of that. Raises TopicMissing, and
        PermanentError if the queue has a retention of its own.
        """
        raise PermanentError(self.own_retention)

    def prune(
        self, topics: Collection[str], before: float | None = None, *, without_group: bool = False
    ) -> Pruned:
        """Remove that of these topics, and give the disk back. Others may write and read meanwhile.

        What a group has not read is never removed. Raises as `prunable`.
        """
        raise PermanentError(self.own_retention)

    @property
    def own_retention(self) -> str:
        """How the queue itself removes messages, if it does, for people; empty if it does not."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Release what is held. Calling it twice is fine."""
