"""What is told of a batch beyond its counts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from estela_consumer.pipeline.batch import Batch

_message = attrgetter("message")
_data = attrgetter("data")
_timestamp = attrgetter("timestamp")


@dataclass(frozen=True, slots=True)
class BatchDetails:
    """A batch in the few numbers that are told of it."""

    read_bytes: int
    """Of keys, values and the values of headers."""
    timestamps: list[float]
    """Of its messages, ascending; without those that have none."""

    @classmethod
    def of(cls, batch: Batch) -> BatchDetails:
        """All of it in C: each step of Python for each message would be seen in the rate of a drain."""
        messages = list(map(_message, batch.rejected))
        size = batch.bytes  # of documents, keys and headers, and of what was rejected
        for chunk in batch.chunks.values():
            stored = list(map(_message, chunk))
            size += sum(map(len, map(_data, stored))) - chunk.bytes
            messages += stored
        return cls(size, _ascending(map(_timestamp, messages)))


def _ascending(timestamps: Iterable[float]) -> list[float]:
    found = sorted(timestamps)  # partition after partition they ascend already, which makes it fast
    return found if found and found[0] > 0 else found[bisect_right(found, 0.0) :]
