"""The head of a batch of records, in the format that Kafka has since 0.11."""

from __future__ import annotations

import struct
from typing import ClassVar

from kafka.record.util import calc_crc32c


class Batch:
    """What the first bytes of a batch say. Raises struct.error if there are too few."""

    HEAD: ClassVar = struct.Struct(">qiibIhiqqqhii")
    _CHECKED_AT: ClassVar = 21  # bytes up to the part that the checksum is of: from the attributes on
    _CODEC: ClassVar = 0x07
    _STAMPED_BY_BROKER: ClassVar = 0x08
    _TRANSACTIONAL: ClassVar = 0x10
    _CONTROL: ClassVar = 0x20

    __slots__ = (
        "_attributes",
        "_crc",
        "base_offset",
        "count",
        "first_timestamp",
        "last_offset_delta",
        "leader_epoch",
        "max_timestamp",
        "producer_id",
        "raw",
    )

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        (
            self.base_offset, _, self.leader_epoch, _, self._crc, self._attributes, self.last_offset_delta,
            self.first_timestamp, self.max_timestamp, self.producer_id, _, _, self.count,
        ) = self.HEAD.unpack_from(raw)  # fmt: skip

    @property
    def is_intact(self) -> bool:
        """Whether its checksum is right."""
        return bool(calc_crc32c(memoryview(self.raw)[self._CHECKED_AT :]) == self._crc)

    @property
    def last_offset(self) -> int:
        """The offset of its last record, even if compaction has removed that."""
        return int(self.base_offset + self.last_offset_delta)

    @property
    def codec(self) -> int:
        """The number of the compression; 0 is none."""
        return int(self._attributes & self._CODEC)

    @property
    def is_stamped_by_broker(self) -> bool:
        """Whether the time of its records is the one at which the broker had them."""
        return bool(self._attributes & self._STAMPED_BY_BROKER)

    @property
    def is_transactional(self) -> bool:
        """Whether it is part of a transaction."""
        return bool(self._attributes & self._TRANSACTIONAL)

    @property
    def is_control_batch(self) -> bool:
        """Whether it ends a transaction, or is another record of the broker's own."""
        return bool(self._attributes & self._CONTROL)
