"""How much of a run the group has done with, where the store cannot tell: equal items are stored once."""

from __future__ import annotations

from collections.abc import Sequence

from estela_consumer.decoding.document import id_bytes
from estela_consumer.decoding.envelope import envelope_of
from estela_queue_adapter import Message, Platform, Subscription
from estela_wire.closing_record import IdRange, nonce_of

_COUNTS = 2**24  # the ids of one stream and run that differ in their last 3 bytes


class Passed:
    """Looks for a run's messages in the topic itself, before the group's committed positions.

    What lies before them is stored or a dead letter.
    """

    def __init__(self, platform: Platform, subscription: Subscription, ranges: Sequence[IdRange]) -> None:
        self._platform = platform
        self._subscription = subscription
        self._seen = {ids: _Seen() for ids in ranges}
        self._ranges = {ids.nonce: ids for ids in ranges}
        self._positions: dict[int, int] = {}
        self._begins: dict[int, int] = {}

    def missing(self, published: int, lag: int) -> int:
        """How many of the published messages the group has not passed. Reads the whole topic.

        Where the beginning of the topic is gone (retention), some of the run may have been there, done with;
        where the run is so long that counts in its ids come again, copies cannot be told: then it is no more
        than the group's lag. Blocks; raises QueueError.
        """
        with self._platform.consumer(self._subscription) as consumer:
            self._positions = {at.partition: at.offset for at in consumer.positions()}
        passed = sum(self._is_new(message) for message in self._platform.read(self._subscription.topic))
        missing = max(0, published - passed)
        return min(missing, lag) if self._has_lost_its_beginning or published > _COUNTS else missing

    def _is_new(self, message: Message) -> bool:
        """Whether it is one of the run that was passed, and no copy of one that was seen."""
        self._begins.setdefault(message.partition, message.offset)
        if message.data is None or message.offset >= self._positions.get(message.partition, 0):
            return False
        identity = id_bytes(envelope_of(message.data).get("id"))
        ids = self._ranges.get(nonce_of(identity)) if identity else None
        return bool(identity and ids and ids.holds(identity) and self._seen[ids].add(identity))

    @property
    def _has_lost_its_beginning(self) -> bool:
        return any(self._begins.get(partition, at) > 0 for partition, at in self._positions.items())


class _Seen:
    """The ids of a run that were met: a bit for each, by the count in its last 3 bytes."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, identity: bytes) -> bool:
        """Whether it was not met before."""
        byte, bit = divmod(int.from_bytes(identity[9:], "big"), 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        new = not self._bits[byte] & (1 << bit)
        self._bits[byte] |= 1 << bit
        return new
