"""How much goes into one write, and when it is due. Pure: the clock's reading is passed in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from estela_consumer.dead_letters.rejected_message import RejectedMessage
from estela_consumer.decoding.decoder import Decoded
from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage
from estela_queue_adapter import Message, Position
from estela_wire.dataset import Dataset

OWN_SLOTS = 2
"""Batches that each pipeline may always have in hand: one is written while the next is gathered."""
SHARED_SLOTS = 1
"""Those that all may have beside: a pipeline that is alone has two written while it gathers the third."""

# What a batch may carry over all its datasets, in chunks. A thousand of them still make inserts of dozens.
_BYTES_PER_BATCH = 8
_MESSAGES_PER_BATCH = 20
_CHUNKS_IN_HAND = 6  # over all pipelines, if a chunk is a batch: for more than that, chunks are smaller


def slots_for(pipelines: int) -> int:
    """How many batches so many pipelines of a process may have in hand, all together."""
    return OWN_SLOTS * pipelines + SHARED_SLOTS


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """What bounds one chunk."""

    count: int = 2_000
    """Documents."""
    bytes: int = 2 * 1024 * 1024
    """Bytes of BSON; a single larger document is a chunk of its own."""
    age: float = 1.0
    """Seconds from the arrival of the first message until it is written."""
    share: float = 1.0
    """What of a batch's usual number of chunks it may carry."""

    def shared_by(self, pipelines: int) -> ChunkLimits:
        """The same for so many pipelines of a process: what they have in hand is bounded for all together."""
        batches = slots_for(pipelines)
        of_chunk, of_batch = min(1.0, _CHUNKS_IN_HAND / batches), slots_for(1) / batches
        return replace(
            self,
            count=max(1, int(self.count * of_chunk)),
            bytes=max(1, int(self.bytes * of_chunk)),
            share=of_batch / of_chunk,
        )

    @property
    def batch_bytes(self) -> int:
        """Bytes of BSON in a batch: a bound for the memory however many datasets are mixed."""
        return max(1, int(_BYTES_PER_BATCH * self.bytes * self.share))

    @property
    def batch_messages(self) -> int:
        """Messages in a batch, whatever they become."""
        return max(1, int(_MESSAGES_PER_BATCH * self.count * self.share))


class Chunk(list[Document]):
    """The documents that one insert carries, and their size."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0


class Batch:
    """What one commit covers: a slice of the topic, gathered into a chunk for each dataset.

    It is full as soon as one of its chunks is, or when all of them together hold what a batch may.
    """

    def __init__(self, limits: ChunkLimits, opened_at: float) -> None:
        self.chunks: dict[Dataset, Chunk] = {}
        self.rejected: list[RejectedMessage] = []
        self.messages = 0
        self.tombstones = 0
        self.bytes = 0
        self.full = False
        self._limits = limits
        self._opened_at = opened_at
        self._longest = self._largest = 0  # documents, and bytes, of a chunk
        self._last_messages: dict[int, Message] = {}  # of each partition

    @property
    def room(self) -> int:
        """How many messages it can take before it may be full, whatever their datasets; one at least."""
        return max(1, min(self._limits.count - self._longest, self._limits.batch_messages - self.messages))

    def add(self, message: Message, decoded: Document | BadMessage | None) -> None:
        """Take a message and what it was decoded to: a document, a reason against it, or a tombstone."""
        self.add_all((message,), Decoded((decoded,)))

    def add_all(self, messages: Sequence[Message], decoded: Decoded) -> None:
        """Take messages and what each was decoded to."""
        if decoded.dataset is None:
            size = self._add_each(messages, decoded)
        else:
            size = self._add_alike(messages, cast(list[Document], decoded), decoded.dataset)
        self.messages += len(messages)
        self.bytes += size
        self.full = (
            self._longest >= self._limits.count
            or self._largest >= self._limits.bytes
            or self.bytes >= self._limits.batch_bytes
            or self.messages >= self._limits.batch_messages
        )

    def _add_alike(self, messages: Sequence[Message], documents: Sequence[Document], dataset: Dataset) -> int:
        """Take documents of one dataset at once; the bytes they take."""
        chunk = self.chunks.get(dataset)
        if chunk is None:
            chunk = self.chunks[dataset] = Chunk()
        size = sum([len(document[1]) for document in documents])
        chunk += documents
        chunk.bytes += size
        self._last_messages.update([(message[1], message) for message in messages])
        self._longest, self._largest = max(self._longest, len(chunk)), max(self._largest, chunk.bytes)
        return size

    def _add_each(self, messages: Sequence[Message], decoded: Decoded) -> int:
        """Take whatever there is; the bytes it takes."""
        chunks, last, size = self.chunks, self._last_messages, 0
        longest, largest = self._longest, self._largest
        for message, one in zip(messages, decoded, strict=True):
            _, partition, _, _, key, data, headers = message
            last[partition] = message
            if headers or key:  # they stay in memory with the message
                size += len(key or b"") + sum(len(value or b"") for _, value in headers)
            if type(one) is Document:
                dataset, encoded, _, _ = one
                chunk = chunks.get(dataset)
                if chunk is None:
                    chunk = chunks[dataset] = Chunk()
                chunk.append(one)
                chunk.bytes += len(encoded)
                size += len(encoded)
                if len(chunk) > longest:
                    longest = len(chunk)
                if chunk.bytes > largest:
                    largest = chunk.bytes
            elif isinstance(one, BadMessage):
                self.rejected.append(RejectedMessage(message, one))
                size += len(data or b"")
            else:
                self.tombstones += 1
        self._longest, self._largest = longest, largest
        return size

    @property
    def positions(self) -> dict[int, Position]:
        """What commits it: the position after its last message, for each partition that is still ours."""
        return {partition: message.next for partition, message in self._last_messages.items()}

    def forget(self, partitions: Iterable[int]) -> None:
        """Commit nothing of these partitions any more."""
        for partition in partitions:
            self._last_messages.pop(partition, None)

    def due(self, now: float) -> bool:
        """Whether it should be written now."""
        return self.full or (self.messages > 0 and now - self._opened_at >= self._limits.age)

    def due_in(self, now: float) -> float:
        """Seconds until its age makes it due; endless if it is empty."""
        if not self.messages:
            return math.inf
        return max(0.0, self._opened_at + self._limits.age - now)
