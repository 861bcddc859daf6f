"""What an operator asks a queue, and does to it. The contract, stated once.

Times are float seconds since the epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from estela_queue_adapter.administration.overview import Group, Prunable, Pruned, Topic
from estela_queue_adapter.errors import PermanentError
from estela_queue_adapter.messages import Position


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
