"""When a topic is drained."""

from __future__ import annotations

from collections.abc import Iterable

from estela_queue_adapter import Position


class Drain:
    """Done once the group has passed, in every partition, the end that was there at the beginning."""

    def __init__(self) -> None:
        self._left: dict[int, int] | None = None

    @property
    def begun(self) -> bool:
        """Whether the ends are known."""
        return self._left is not None

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._left is not None and not self._left

    def begin(self, ends: Iterable[Position]) -> None:
        """Note where every partition ends now."""
        self._left = {end.partition: end.offset for end in ends}

    def reached(self, positions: Iterable[Position]) -> None:
        """Note where the group is: nothing before these is left to do."""
        for position in positions:
            if self._left and position.offset >= self._left.get(position.partition, position.offset + 1):
                del self._left[position.partition]
