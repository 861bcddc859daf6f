"""The loop: poll, decode, gather, write, commit.

One pipeline reads one topic. It polls and commits on its own thread; writer threads store the batches. While
a batch is written the next one is polled and decoded, and commits follow in the order of the batches.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace

from estela_consumer.decoding.decoder import decode
from estela_consumer.errors import BadMessage, StoreUnreachable
from estela_consumer.patience import Patience
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_consumer.pipeline.drain import Drain, DrainReport
from estela_consumer.pipeline.progress import Progress
from estela_consumer.pipeline.rate_limit import Pace
from estela_consumer.pipeline.writers import WriterThreads, Written
from estela_queue_adapter import Message, PartitionListener, Platform, Position, Subscription
from estela_queue_adapter.errors import AccessDenied, CommitRefused, QueueError, TopicMissing, TransientError

_POLL = 0.2  # seconds the longest poll takes, so that everything else gets its turn
_COMMIT_INTERVAL = 1.0  # seconds between commits while messages keep coming
_ASK_LAG_INTERVAL = 5.0  # seconds
_CHECK_DRAIN_INTERVAL = 1.0  # seconds
_SAY_WAITING_INTERVAL = 30.0  # seconds between two lines about what a drain waits for
_CLOSING = (
    2.0  # seconds of the grace, or a quarter of it, that are kept for the commit and for leaving the group
)
_BATCHES_AHEAD = 2  # so many are written while the next is gathered

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How a pipeline works."""

    limits: ChunkLimits = field(default_factory=ChunkLimits)
    writers: int = 4
    """Inserts at the same time."""
    drain: bool = False
    """Stop once everything that was in the topic at the start is stored, or cannot be."""
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
        self._stop_by = 0.0
        self._dry = False
        self._patience = replace(patience, abandoned=self._stopping)
        self._outage = patience.outage(f"The queue is away ({self._topic})")
        self._pace = Pace(settings.rate, clock())
        self._drain = Drain() if settings.drain else None
        self._batch = Batch(settings.limits, clock())
        self._polled: deque[Message] = deque()
        self._in_flight: deque[tuple[Batch, Future[Written], float]] = deque()
        self._uncommitted: dict[int, Position] = {}
        self._owned: set[int] = set()
        self._committed: dict[int, int] = {}  # of what is owned: the offset that was committed last
        self._committed_at = 0.0
        self._asked_lag_at = 0.0
        self._checked_at = clock()
        self._said_waiting_at = clock()

    def stop(self) -> None:
        """Finish what is in hand within the grace and return from `run`.

        Safe to call from anywhere, also from a signal handler, at any time.
        """
        if not self._stopping.is_set():
            grace = self._settings.grace
            self._stop_by = self._clock() + grace - min(_CLOSING, grace / 4)
            self._stopping.set()

    def drained(self) -> DrainReport | None:
        """How far the drain came; None where it is none. Safe to call from any thread."""
        return self._drain.report() if self._drain else None

    def run(self) -> None:
        """Block until stopped, or until the drain is over; everything committed then is safe.

        Raises StoreUnreachable or QueueError when patience ends, TopicMissing when there is nothing to drain.
        """
        try:
            while not self._stopping.is_set() and not (self._drain and self._drain.over):
                self._patient_turn()
            self._polled.clear()  # not decoded, not committed: delivered again
            self._finish(self._finish_by)
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
            # In this order: while others go on, no position may seem to be beyond an end.
            self._drain.begin(self._consumer.positions(), self._consumer.log_end_positions())
        self._collect()
        self._check_drain()
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
        except TopicMissing:
            if self._drain:
                raise
            logger.error("%s was deleted; what was read is stored. A new topic is waited for.", self._topic)
            self._uncommitted.clear()
        else:
            self._uncommitted.clear()
            self._committed.update((position.partition, position.offset) for position in positions)
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
        if now - self._asked_lag_at >= _ASK_LAG_INTERVAL:
            self._asked_lag_at = now
            try:
                self._progress.lags(self._topic, self._consumer.lag())
                self._commit_passed(self._consumer.positions())
            except TopicMissing:  # not yet: wait for it
                logger.debug("%s does not exist yet", self._topic)

    def _commit_passed(self, positions: Iterable[Position]) -> None:
        """Commit what was read past without a message: transactions that were aborted, and their markers.

        Else the group would never be seen to reach the end of a partition that ends with one.
        """
        in_hand = self._in_hand()
        for position in positions:
            partition, offset = position.partition, position.offset
            if partition in self._owned - in_hand and offset != self._committed.get(partition):
                self._uncommitted[partition] = position
        self._commit()

    def _in_hand(self) -> set[int]:
        """The partitions of messages that were polled and are not committed."""
        batches = (self._batch, *(batch for batch, _, _ in self._in_flight))
        partitions = {partition for batch in batches for partition in batch.positions}
        return partitions | self._uncommitted.keys() | {message.partition for message in self._polled}

    def _check_drain(self) -> None:
        """Ask now and then, however busy the topic is, how far the group has come."""
        drain, now = self._drain, self._clock()
        if drain is None or now - self._checked_at < _CHECK_DRAIN_INTERVAL:
            return
        in_hand, positions = self._in_hand(), self._consumer.positions()
        if any(at.partition in in_hand and drain.is_end(at.partition, at.offset) for at in positions):
            self._submit()  # what is gathered completes a partition: it need not wait for more
        drain.reached(at for at in positions if at.partition not in in_hand)
        self._commit_passed(positions)
        if drain.done:
            return
        drain.look(self._consumer.log_end_positions(), self._consumer.end_positions(), now)
        self._checked_at = now  # and not before: if the queue does not answer, it is asked again at once
        self._wait_no_longer_than_allowed(drain, now)

    def _wait_no_longer_than_allowed(self, drain: Drain, now: float) -> None:
        blocked, most = drain.blocked_for(now), self._patience.max_wait
        if blocked is not None and most is not None and blocked >= most:
            drain.give_up()
            logger.error(
                "%s: given up after %.0f s, as a transaction is still open and hides what lies behind it: %s",
                self._topic, blocked, drain,
            )  # fmt: skip
        elif now - self._said_waiting_at >= _SAY_WAITING_INTERVAL and not self._in_hand():
            self._said_waiting_at = now
            logger.info("%s: the drain waits for %s", self._topic, drain)

    def _finish(self, until: float) -> None:
        """Write what is gathered, wait for the writers until then, and commit what is safe by then."""
        self._submit()
        wait([future for _, future, _ in self._in_flight], timeout=max(0.0, until - self._clock()))
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

    @property
    def _finish_by(self) -> float:
        return self._stop_by if self._stopping.is_set() else self._clock() + self._settings.grace

    def partitions_assigned(self, partitions: Collection[int]) -> None:
        """Read them too."""
        self._owned.update(partitions)

    def partitions_revoked(self, partitions: Collection[int]) -> None:
        """Finish and commit what is in hand before they move."""
        if self._closing:
            return
        try:
            self._finish(self._finish_by)
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
            if self._drain:
                self._drain.lost(partition, resumed - position)
            logger.error(
                "%s. %d messages were removed before they were read (retention); going on at %d.",
                place,
                resumed - position,
                resumed,
            )
        else:
            if self._drain:
                self._drain.cut_short(partition)
            logger.error(
                "%s: the partition was recreated or cut short. What it held unread is gone; going on at %d.",
                place,
                resumed,
            )

    def _forget(self, partitions: Collection[int]) -> None:
        self._polled = deque(message for message in self._polled if message.partition not in partitions)
        for batch in (self._batch, *(batch for batch, _, _ in self._in_flight)):
            batch.forget(partitions)
        for partition in partitions:
            self._uncommitted.pop(partition, None)
            self._committed.pop(partition, None)
            self._owned.discard(partition)

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
