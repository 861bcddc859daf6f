"""Messages off the queue into batches: polled, decoded, gathered."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from itertools import accumulate

from estela_consumer.decoding.decoder import decode_all
from estela_consumer.decoding.drafts import MOST_TOGETHER
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.rate_limit import RateLimiter
from estela_queue_adapter import Consumer, Message

_POLL_TIMEOUT = 0.2  # seconds the longest poll takes, so that everything else gets its turn

_BYTES_TOGETHER = 64 * 1024  # of messages that are decoded together


class Gathering:
    """Polls, and decodes what comes into the batch that is open.

    Belongs to the pipeline's thread. `take_batch` and `forget` may also come from a thread of the platform's,
    when partitions move, while the pipeline's thread waits for it in `poll`: so never two at a time, and no
    lock.
    """

    def __init__(
        self,
        consumer: Consumer,
        limits: ChunkLimits,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._limits = limits
        self._clock = clock
        self._rate_limiter = RateLimiter(rate, clock())
        self._polled: list[Message] = []
        self._batch = Batch(limits, clock())
        self._caught_up = False

    @property
    def caught_up(self) -> bool:
        """Whether the latest poll brought nothing."""
        return self._caught_up

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in the open batch."""
        return not self._batch.messages

    @property
    def is_due(self) -> bool:
        """Whether the open batch should be written now."""
        return self._batch.due(self._clock())

    @property
    def partitions(self) -> set[int]:
        """Those of which a message was polled and is not in a batch that was taken."""
        return self._batch.positions.keys() | {message.partition for message in self._polled}

    def gather(self) -> None:
        """Poll, unless something polled remains, and decode it into the open batch. Blocks in `poll`."""
        if not self._polled:
            allowance = self._rate_limiter.allowance(self._clock(), self._limits.count)
            if allowance == 0:
                self.poll_paused()
                return
            messages = self._consumer.poll(min(_POLL_TIMEOUT, self._batch.due_in(self._clock())), allowance)
            self._caught_up = not messages
            self._rate_limiter.spend(len(messages))
            self._polled.extend(messages)
        self._decode()

    def _decode(self) -> None:
        if self._polled and not self._batch.messages:
            self._batch = Batch(self._limits, self._clock())
        polled, batch = self._polled, self._batch
        while polled and not batch.full:
            together = self._some_polled(min(MOST_TOGETHER, batch.room))
            batch.add_all(together, decode_all(together))

    def _some_polled(self, count: int) -> list[Message]:
        """Take the next `count` of those polled, fewer if they are large, and one at least."""
        limit = min(_BYTES_TOGETHER, self._limits.bytes)
        sizes = [len(message[5] or b"") for message in self._polled[:count]]
        if sum(sizes) > limit:
            sizes = [size for size, before in zip(sizes, accumulate(sizes, initial=0)) if before < limit]  # noqa: B905
        taken = self._polled[: len(sizes)]
        del self._polled[: len(sizes)]
        return taken

    def poll_paused(self) -> None:
        """Take nothing, but stay a member of the group. Blocks in `poll`."""
        self._consumer.pause()
        try:
            messages = self._consumer.poll(_POLL_TIMEOUT, 1)
        finally:
            self._consumer.resume()
        self._polled.extend(messages)  # none, or one that was on its way: the position is past it

    def take_batch(self) -> Batch:
        """The open batch, which may be empty; another is open from now on."""
        batch, self._batch = self._batch, Batch(self._limits, self._clock())
        return batch

    def drop_polled(self) -> None:
        """Leave what is not decoded to the next reader: it is not committed, and so delivered again."""
        self._polled.clear()

    def forget(self, partitions: Collection[int]) -> None:
        """Decode nothing more of these, and commit nothing that was."""
        self._polled = [message for message in self._polled if message.partition not in partitions]
        self._batch.forget(partitions)
