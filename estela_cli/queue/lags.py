"""How far each group is behind, by partition."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from estela_queue_adapter.administration import Administration, PartitionRange, Topic


class PartitionLag(NamedTuple):
    """One partition, as one group sees it."""

    group: str
    topic: str
    partition: int
    committed: int | None
    """None if the group has committed nothing there: it begins with the first message."""
    end: int | None
    """None if there is no such partition (any more)."""
    lag: int | None

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return self._asdict()


def lags_of(
    administration: Administration, groups: Sequence[str], topics: Collection[str] | None
) -> list[PartitionLag]:
    """Of each group all partitions of the topics that it has read, or of those of them that are named.

    Raises QueueError.
    """
    there = {topic.name: topic for topic in administration.topics(topics)}
    found: list[PartitionLag] = []
    for group in groups:
        committed: dict[str, dict[int, int]] = {}
        for topic, partition, offset in administration.committed(group):
            if topics is None or topic in topics:
                committed.setdefault(topic, {})[partition] = offset
        for name, offsets in committed.items():
            found += _of_topic(group, name, there.get(name), offsets)
    return found


def _of_topic(
    group: str, name: str, topic: Topic | None, offsets: Mapping[int, int]
) -> Iterator[PartitionLag]:
    ranges = {} if topic is None else {each.partition: each for each in topic.partitions}
    for partition in sorted({*ranges, *offsets}):
        at = offsets.get(partition)
        yield PartitionLag(group, name, partition, at, *_end_and_lag(at, ranges.get(partition)))


def _end_and_lag(at: int | None, range_: PartitionRange | None) -> tuple[int | None, int | None]:
    if range_ is None:
        return None, None
    return range_.end, max(0, range_.end - max(range_.beginning, at or 0))
