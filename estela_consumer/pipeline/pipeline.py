"""The loop: poll, decode, gather, write, commit.

One pipeline reads one topic. While a batch is written the next one is polled and decoded, and commits follow
in the order of the batches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from estela_consumer.errors import AccessRefused, StoreUnreachable
from estela_consumer.pipeline.activity.topic_activity import TopicActivity
from estela_consumer.pipeline.batch import ChunkLimits
from estela_consumer.pipeline.drain import DrainCheck, DrainReport
from estela_consumer.pipeline.gathering import Gathering
from estela_consumer.pipeline.in_flight import BatchSlots, InFlight, WrittenBatch
from estela_consumer.pipeline.interval import Interval
from estela_consumer.pipeline.progress import Progress
from estela_consumer.pipeline.stop_request import StopRequest
from estela_consumer.pipeline.writer_threads import WriterThreads
from estela_consumer.retry import QUEUE, RetryPolicy
from estela_queue_adapter import PartitionListener, Platform, Position, Subscription
from estela_queue_adapter.errors import AccessDenied, CommitRefused, QueueError, TopicMissing, TransientError

_WRITER_TIMEOUT = 0.2  # seconds that a writer is waited for before the membership needs a poll
_COMMIT_INTERVAL = 1.0  # seconds between commits while messages keep coming
_LAG_INTERVAL = 5.0  # seconds between two questions for the lag
# Seconds of the grace, or a quarter of it, that are kept for the commit and for leaving the group.
_RESERVE = 2.0

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
    """Moves one topic into the store until told to stop, or until drained.

    `run` is called once, on a thread of its caller's, and does everything else: it polls, decodes and commits
    there. Only these come from elsewhere: `stop` from any thread or a signal handler; `drain_report` from any
    thread; what a PartitionListener is told from a thread of the platform's, while `run` waits for it in the
    consumer's `poll` or `close`. The batches are written by `writers`, which somebody else starts and closes.
    """

    def __init__(
        self,
        platform: Platform,
        subscription: Subscription,
        writers: WriterThreads,
        settings: PipelineSettings,
        retry: RetryPolicy,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        slots: BatchSlots | None = None,
    ) -> None:
        self._consumer = platform.consumer(subscription, self)
        self._progress = progress
        self._clock = clock
        self._stop_request = StopRequest(settings.grace, min(_RESERVE, settings.grace / 4), clock)
        self._closing = False
        self._retry = retry.cancelled_by(self._stop_request.made)
        self._outage = retry.outage(QUEUE, subscription.topic)
        self._gathering = Gathering(self._consumer, settings.limits, settings.rate, clock)
        self._in_flight = InFlight(writers.submit, settings.limits.batch_bytes, clock, slots)
        self._drain = DrainCheck(self._consumer, retry.max_wait, clock()) if settings.drain else None
        self._commit_interval = Interval(_COMMIT_INTERVAL)
        self._lag_interval = Interval(_LAG_INTERVAL)

    @property
    def _topic(self) -> str:
        return self._consumer.subscription.topic

    @property
    def _place(self) -> dict[str, str]:
        return {"topic": self._topic}

    @property
    def _activity(self) -> TopicActivity:
        return self._progress.activities[self._topic]

    def stop(self) -> None:
        """Finish what is in hand within the grace and return from `run`.

        Safe to call from anywhere, also from a signal handler, at any time.
        """
        self._stop_request.make()

    def drain_report(self) -> DrainReport | None:
        """How far the drain came; None if it is none. Safe to call from any thread."""
        return self._drain.report() if self._drain else None

    def run(self) -> None:
        """Block until stopped, or until the drain is over; everything committed then is safe.

        Raises StoreUnreachable or QueueError when retrying ends, TopicMissing when there is nothing to drain.
        """
        try:
            while not self._stop_request.is_made and not (self._drain and self._drain.over):
                self._turn_with_retries()
            self._gathering.drop_polled()
            self._finish()
        finally:
            self._closing = True
            self._activity.ended()
            self._consumer.close()

    def _turn_with_retries(self) -> None:
        try:
            self._retry.call(self._turn, self._outage, TransientError, AccessDenied)
        except QueueError:
            if not self._stop_request.is_made:
                raise

    def _turn(self) -> None:
        self._activity.turned()
        if self._drain:
            self._drain.begin_once()
        self._commit_written()
        if self._drain:
            self._check_drain(self._drain)
        if not self._in_flight.has_room():
            self._wait_for_writers()
            return
        gathering = self._gathering
        gathering.gather()
        if gathering.is_due or (self._drain and gathering.caught_up):
            self._submit()
        if gathering.caught_up and gathering.is_empty and not self._in_flight:
            self._ask_lag()

    def _submit(self) -> None:
        batch = self._gathering.take_batch()
        if batch.messages:
            self._progress.count_read(self._topic, batch.messages, batch.tombstones)
            self._activity.submitted(batch)
            self._in_flight.submit(batch)

    def _wait_for_writers(self) -> None:
        """Every writer is busy: wait for the oldest batch, and keep up the membership if that takes long."""
        if not self._in_flight.wait_for_oldest(_WRITER_TIMEOUT):
            self._gathering.poll_paused()

    def _commit_written(self) -> None:
        """Take the batches that are written, in order, and commit them."""
        while (written := self._in_flight.take_written()) is not None:
            self._progress.count_written(self._topic, written.result)
            self._activity.written(written)
            self._log(written)
        caught_up = self._gathering.caught_up and not self._in_flight
        if caught_up or self._commit_interval.is_due(self._clock()):
            self._commit()

    def _commit(self) -> None:
        positions = self._in_flight.uncommitted
        if not positions:
            return
        try:
            self._consumer.commit(positions)
        except CommitRefused as error:
            # The group is moving partitions: we are told which go, and what stays is committed then.
            self._activity.commit_failed("refused")
            logger.warning(
                "%s: positions not committed yet: %s. Those that stay ours are committed later.",
                self._topic, error, extra=self._place,
            )  # fmt: skip
        except TopicMissing:
            self._activity.commit_failed("failed")
            if self._drain:
                raise
            logger.error(
                "Topic %s was deleted. What was read is stored; waiting until the topic exists again.",
                self._topic,
                extra=self._place,
            )
            self._in_flight.drop_uncommitted()
        except QueueError:
            self._activity.commit_failed("failed")
            raise
        else:
            self._activity.committed()
            self._in_flight.mark_committed(positions)
            if self._drain:
                self._drain.advance(positions)
        self._commit_interval.restart(self._clock())

    def _ask_lag(self) -> None:
        """Ask how much is still to come, now and then while nothing comes."""
        now = self._clock()
        if not self._lag_interval.is_due(now):
            return
        self._lag_interval.restart(now)
        try:
            self._progress.set_lag(self._topic, self._consumer.lag())
            self._commit_passed(self._consumer.positions())
        except TopicMissing:  # not yet: wait for it
            logger.debug("Topic %s does not exist yet", self._topic)

    def _commit_passed(self, positions: Iterable[Position]) -> None:
        """Commit what was read past without a message: transactions that were aborted, and their markers.

        Otherwise the group would never be seen to reach the end of a partition that ends with one.
        """
        self._in_flight.add_passed(positions, self._gathering.partitions)
        self._commit()

    def _partitions_in_hand(self) -> set[int]:
        """Those of messages that were polled and are not committed."""
        return self._gathering.partitions | self._in_flight.partitions

    def _check_drain(self, drain: DrainCheck) -> None:
        """Ask now and then, however busy the topic is, how far the group has come."""
        now = self._clock()
        if not drain.is_due(now):
            return
        in_hand, positions = self._partitions_in_hand(), self._consumer.positions()
        if any(at.partition in in_hand and drain.reaches_end(at) for at in positions):
            self._submit()  # what is gathered completes a partition: it need not wait for more
        drain.advance(at for at in positions if at.partition not in in_hand)
        self._commit_passed(positions)
        drain.ask(now, nothing_in_hand=not self._partitions_in_hand())

    def _finish(self) -> None:
        """Write what is gathered, wait for the writers within the grace, and commit what is safe by then."""
        deadline = self._stop_request.finish_by()
        self._submit()
        self._in_flight.wait_for_all(max(0.0, deadline - self._clock()))
        try:
            self._commit_written()
            self._commit()
        except (TransientError, AccessDenied) as error:
            logger.warning(
                "%s: commit failed: %s. What is not committed is delivered again, and stored once.",
                self._topic, error, extra=self._place,
            )  # fmt: skip
        if self._in_flight:
            logger.warning(
                "%s: %d batch(es) not stored in time. Their messages are delivered again, and stored once.",
                self._topic, len(self._in_flight), extra=self._place,
            )  # fmt: skip

    def partitions_assigned(self, partitions: Collection[int]) -> None:
        """Read them too."""
        self._activity.rebalanced("assigned", partitions)
        self._in_flight.assign(partitions)

    def partitions_revoked(self, partitions: Collection[int]) -> None:
        """Finish and commit what is in hand before they move."""
        self._activity.rebalanced("revoked", partitions)
        if self._closing:
            return
        try:
            self._finish()
        except (StoreUnreachable, AccessRefused):
            pass  # the failed batch stays the oldest one, and the loop meets the same error there
        finally:
            self._forget(partitions)

    def partitions_lost(self, partitions: Collection[int]) -> None:
        """Commit nothing more for them."""
        self._activity.rebalanced("lost", partitions)
        self._forget(partitions)

    def _forget(self, partitions: Collection[int]) -> None:
        self._gathering.forget(partitions)
        self._in_flight.forget(partitions)

    def messages_gone(self, partition: int, position: int, resumed: int) -> None:
        """Say so loudly: nothing here can bring them back."""
        if resumed > position:
            messages = resumed - position
            self._progress.count_gone(self._topic, messages)
            if self._drain:
                self._drain.add_gone(partition, messages)
            logger.error(
                "%s partition %d: retention removed %d messages before they were read. Reading goes on at "
                "offset %d instead of %d. Raise the topic's retention, or run more consumers.",
                self._topic, partition, messages, resumed, position,
                extra={**self._place, "partition": partition, "offset": position},
            )  # fmt: skip
        else:
            if self._drain:
                self._drain.add_cut_short(partition)
            logger.error(
                "%s partition %d was recreated or cut short, and what it held unread is lost. Reading goes "
                "on at offset %d instead of %d.",
                self._topic, partition, resumed, position,
                extra={**self._place, "partition": partition, "offset": position},
            )  # fmt: skip

    def _log(self, written: WrittenBatch) -> None:
        batch, result, seconds = written
        upto = ", ".join(f"{at.partition}:{at.offset}" for at in batch.positions.values())
        logger.debug(
            "%s: %d messages up to %s in %.3f s: %d stored, %d already there, %d superseded, %d dead letters",
            self._topic,
            batch.messages,
            upto,
            seconds,
            result.stored.total(),
            result.present.total(),
            result.superseded.total(),
            result.dead_lettered.total(),
            extra={**self._place, "offsets": {at.partition: at.offset for at in batch.positions.values()}},
        )
