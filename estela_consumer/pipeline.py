"""The loop: poll, decode, gather, write, commit.

One pipeline reads one topic. It polls and commits on its own thread; writer threads store the batches. While
a batch is written the next one is polled and decoded, and commits follow in the order of the batches.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace

from estela_consumer.chunks import Batch, ChunkLimits
from estela_consumer.decoding import decode
from estela_consumer.drain import Drain
from estela_consumer.errors import BadMessage, StoreUnreachable
from estela_consumer.pace import Pace
from estela_consumer.patience import Patience
from estela_consumer.progress import Progress
from estela_consumer.writing import WriterThreads, Written
from estela_queue_adapter import Message, PartitionListener, Platform, Position, Subscription
from estela_queue_adapter.errors import AccessDenied, CommitRefused, QueueError, TopicMissing, TransientError

_POLL = 0.2  # seconds the longest poll takes, so that everything else gets its turn
_COMMIT_INTERVAL = 1.0  # seconds between commits while messages keep coming
_ASK_LAG_INTERVAL = 5.0  # seconds
_BATCHES_AHEAD = 2  # so many are written while the next is gathered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How a pipeline works."""

    limits: ChunkLimits = field(default_factory=ChunkLimits)
    writers: int = 4
    """Inserts at the same time."""
    drain: bool = False
    """Stop once everything that was in the topic at the start is stored."""
    rate: float | None = None
    """Messages a second at most."""
    grace: float = 30.0
    """Seconds to finish what is in hand when asked to stop, or when partitions are taken away."""


class Pipeline(PartitionListener):
    """Moves one topic into the store until told to stop, or until drained."""

    def __init__(
        self,
        platform: Platform,
        subscription: Subscription,
        writers: WriterThreads,
        settings: PipelineSettings,
        patience: Patience,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topic = subscription.topic
        self._consumer = platform.consumer(subscription, self)
        self._writers = writers
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._stopping = threading.Event()
        self._closing = False
        self._dry = False
        self._patience = replace(patience, abandoned=self._stopping)
        self._outage = patience.outage(f"The queue is away ({self._topic})")
        self._pace = Pace(settings.rate, clock())
        self._drain = Drain() if settings.drain else None
        self._batch = Batch(settings.limits, clock())
        self._polled: deque[Message] = deque()
        self._in_flight: deque[tuple[Batch, Future[Written], float]] = deque()
        self._uncommitted: dict[int, Position] = {}
        self._committed_at = 0.0
        self._asked_lag_at = 0.0

    def stop(self) -> None:
        """Finish what is in hand and return from `run`. Safe to call from anywhere, at any time."""
        self._stopping.set()

    def run(self) -> None:
        """Block until stopped or drained; everything committed then is safe.

        Raises StoreUnreachable or QueueError when patience ends, TopicMissing when there is nothing to drain.
        """
        try:
            while not self._stopping.is_set() and not (self._drain and self._drain.done):
                self._patient_turn()
            self._polled.clear()  # not decoded, not committed: delivered again
            self._finish()
        finally:
            self._closing = True
            self._consumer.close()

    def _patient_turn(self) -> None:
        try:
            self._patience.insist(self._turn, self._outage, TransientError, AccessDenied)
        except QueueError:
            if not self._stopping.is_set():
                raise

    def _turn(self) -> None:
        if self._drain and not self._drain.begun:
            self._drain.begin(self._consumer.end_positions())
        self._collect()
        if self._is_far_ahead:
            self._wait_for_writers()
            return
        self._gather()
        if self._batch.due(self._clock()) or (self._drain and self._dry):
            self._submit()
        if self._dry and not self._in_flight and not self._batch.messages:
            self._idle()

    def _gather(self) -> None:
        """Poll, unless something polled is left over, and decode into the open batch."""
        if not self._polled:
            room = self._pace.allowance(self._clock(), self._settings.limits.count)
            if room == 0:
                self._rest()
                return
            messages = self._consumer.poll(min(_POLL, self._batch.due_in(self._clock())), room)
            self._dry = not messages
            self._pace.took(len(messages))
            self._polled.extend(messages)
        if self._polled and not self._batch.messages:
            self._batch = Batch(self._settings.limits, self._clock())
        polled, batch = self._polled, self._batch
        while polled and not batch.full:
            message = polled.popleft()
            try:
                batch.add(message, decode(message))
            except BadMessage as error:
                batch.add(message, error)

    def _submit(self) -> None:
        batch, self._batch = self._batch, Batch(self._settings.limits, self._clock())
        if batch.messages:
            self._progress.read(self._topic, batch.messages, batch.tombstones)
            self._in_flight.append((batch, self._writers.submit(batch), self._clock()))

    def _collect(self) -> None:
        """Take the results of the batches that are done, in order, and commit them."""
        while self._in_flight and self._in_flight[0][1].done():
            batch, future, submitted_at = self._in_flight[0]
            written = future.result()
            self._in_flight.popleft()
            self._uncommitted.update(batch.positions)
            self._progress.wrote(self._topic, written)
            self._log(batch, written, self._clock() - submitted_at)
        if self._clock() - self._committed_at >= _COMMIT_INTERVAL or (self._dry and not self._in_flight):
            self._commit()

    def _commit(self) -> None:
        if not self._uncommitted:
            return
        positions = list(self._uncommitted.values())
        try:
            self._consumer.commit(positions)
        except CommitRefused as error:
            # The group is moving partitions: we are told which go, and what stays is committed then.
            logger.warning("%s: not committed yet: %s", self._topic, error)
        else:
            self._uncommitted.clear()
            if self._drain:
                self._drain.reached(positions)
        self._committed_at = self._clock()

    @property
    def _is_far_ahead(self) -> bool:
        """Whether enough is being written that no more should be gathered."""
        if len(self._in_flight) <= 1:
            return False
        in_flight = sum(batch.bytes for batch, _, _ in self._in_flight)
        return len(self._in_flight) > _BATCHES_AHEAD or in_flight >= self._settings.limits.batch_bytes

    def _wait_for_writers(self) -> None:
        """Every writer is busy: wait for the first, and keep up the membership if that takes long."""
        wait([self._in_flight[0][1]], timeout=_POLL)
        if not self._in_flight[0][1].done():
            self._rest()

    def _rest(self) -> None:
        """Take nothing, but stay a member of the group."""
        self._consumer.pause()
        try:
            messages = self._consumer.poll(_POLL, 1)
        finally:
            self._consumer.resume()
        self._polled.extend(messages)  # none, or one that was on its way: the position is past it

    def _idle(self) -> None:
        now = self._clock()
        if self._drain and not self._uncommitted:
            self._drain.reached(self._consumer.positions())
        if now - self._asked_lag_at >= _ASK_LAG_INTERVAL:
            self._asked_lag_at = now
            try:
                self._progress.lags(self._topic, self._consumer.lag())
            except TopicMissing:  # not yet: wait for it
                logger.debug("%s does not exist yet", self._topic)

    def _finish(self) -> None:
        """Write what is gathered, wait for the writers within the grace, and commit what is safe by then."""
        self._submit()
        wait([future for _, future, _ in self._in_flight], timeout=self._settings.grace)
        try:
            self._collect()
            self._commit()
        except (TransientError, AccessDenied) as error:
            logger.warning("%s: not committed, it is delivered again: %s", self._topic, error)
        if self._in_flight:
            logger.warning(
                "%s: %d batch(es) not stored in time; they are delivered again.",
                self._topic,
                len(self._in_flight),
            )

    def partitions_revoked(self, partitions: Collection[int]) -> None:
        """Finish and commit what is in hand before they move."""
        if self._closing:
            return
        try:
            self._finish()
        except StoreUnreachable:
            pass  # the failed batch stays at the head of the line, and the loop meets the same error there
        finally:
            self._forget(partitions)

    def partitions_lost(self, partitions: Collection[int]) -> None:
        """Commit nothing more for them."""
        self._forget(partitions)

    def messages_gone(self, partition: int, position: int, resumed: int) -> None:
        """Say so loudly: nothing here can bring them back."""
        place = f"{self._topic} partition {partition}: the queue no longer has offset {position}"
        if resumed > position:
            self._progress.gone(self._topic, resumed - position)
            logger.error(
                "%s. %d messages were removed before they were read (retention); going on at %d.",
                place,
                resumed - position,
                resumed,
            )
        else:
            logger.error(
                "%s: the partition was made anew or cut short. What it held unread is gone; going on at %d.",
                place,
                resumed,
            )

    def _forget(self, partitions: Collection[int]) -> None:
        self._polled = deque(message for message in self._polled if message.partition not in partitions)
        for batch in (self._batch, *(batch for batch, _, _ in self._in_flight)):
            batch.forget(partitions)
        for partition in partitions:
            self._uncommitted.pop(partition, None)

    def _log(self, batch: Batch, written: Written, seconds: float) -> None:
        upto = ", ".join(f"{at.partition}:{at.offset}" for at in batch.positions.values())
        logger.info(
            "%s: %d messages up to %s in %.3f s: %d stored, %d already there, %d dead letters",
            self._topic,
            batch.messages,
            upto,
            seconds,
            written.stored.total(),
            written.present.total(),
            written.dead.total(),
        )
