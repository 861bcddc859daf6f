"""How much of some runs the group has consumed, read from the topic itself.

The store cannot tell if equal items are stored once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from estela_consumer.decoding.envelope import salvaged_envelope
from estela_queue_adapter import Message, Platform, Subscription
from estela_wire.message_id import COUNTS, IdRange, count_of, id_bytes, nonce_of

Each: TypeAlias = Callable[[IdRange, bytes, Message], None]


class ConsumedCount:
    """Counts messages of runs that lie before the group's committed positions: stored or dead-lettered."""

    def __init__(self, platform: Platform, subscription: Subscription, ranges: Iterable[IdRange]) -> None:
        self._platform = platform
        self._subscription = subscription
        self._ranges = {ids.nonce: ids for ids in ranges}
        self._seen = {ids: _SeenIds() for ids in self._ranges.values()}
        self._consumed: Counter[IdRange] = Counter()
        self._positions: dict[int, int] = {}
        self._first_offsets: dict[int, int] = {}

    def scan(self, each: Each = lambda *_: None) -> None:
        """Read the whole topic. To be called once.

        `each` is called with every message of the runs that the group has consumed, with the range of its run
        and its id, copies left out. Blocks; raises QueueError.
        """
        with self._platform.consumer(self._subscription) as consumer:
            self._positions = {at.partition: at.offset for at in consumer.positions()}
        for message in self._platform.read(self._subscription.topic):
            self._first_offsets.setdefault(message.partition, message.offset)
            if message.data is None or message.offset >= self._positions.get(message.partition, 0):
                continue
            identity = id_bytes(salvaged_envelope(message.data).id)
            ids = self._ranges.get(nonce_of(identity)) if identity else None
            if identity and ids and ids.holds(identity) and self._seen[ids].add(identity):
                self._consumed[ids] += 1
                each(ids, identity, message)

    def missing(self, ranges: Collection[IdRange], published: int, lag: int) -> int:
        """How many of the messages that were published in these ranges the group has not consumed.

        If the beginning of the topic is gone (retention), consumed messages of the run may have been there.
        If the run is so long that counts in its ids come again, copies cannot be recognised. In both cases
        the answer is no more than the group's lag.
        """
        missing = max(0, published - sum(self._consumed[ids] for ids in ranges))
        return min(missing, lag) if self._has_lost_its_beginning or published > COUNTS else missing

    @property
    def _has_lost_its_beginning(self) -> bool:
        return any(self._first_offsets.get(partition, at) > 0 for partition, at in self._positions.items())


class _SeenIds:
    """The ids of a run that were met: a bit for each, by its count."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, identity: bytes) -> bool:
        """Whether it was not met before."""
        byte, bit = divmod(count_of(identity), 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        is_new = not self._bits[byte] & (1 << bit)
        self._bits[byte] |= 1 << bit
        return is_new
