"""Reading from Kafka as a member of a consumer group, by librdkafka."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import TopicPartition
from kafka import TopicPartition as KafkaPythonPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import ConsumerClosed, QueueError, TopicMissing
from estela_queue_adapter.interfaces import PartitionListener
from estela_queue_adapter.lifecycle import watch
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.platforms.kafka.errors import translate
from estela_queue_adapter.platforms.kafka.group_consumer import GroupConsumer, LoopsThenListener
from estela_queue_adapter.platforms.kafka.librdkafka.assignment import Assignment
from estela_queue_adapter.platforms.kafka.librdkafka.commits import Commits
from estela_queue_adapter.platforms.kafka.librdkafka.errors import translated
from estela_queue_adapter.platforms.kafka.librdkafka.handle import Handle
from estela_queue_adapter.platforms.kafka.librdkafka.health import Health
from estela_queue_adapter.platforms.kafka.librdkafka.intake import Intake, SessionRefused
from estela_queue_adapter.platforms.kafka.librdkafka.log import LogLines
from estela_queue_adapter.platforms.kafka.librdkafka.options import consumer_options
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.subscription import Subscription

_CLOSE_TIMEOUT = 3.0  # seconds for leaving the group in good order; else the session's end leaves it
_LOOK_AGAIN = 0.5  # seconds before a topic that is not there is looked for again
_NOT_OURS = "Offset commit cannot be completed since the partition is not assigned to this consumer"
_SHORT_PAUSE = 2.0  # seconds in which what was fetched is kept, and the group may have to wait for us
_SLICE = 0.1  # seconds of one wait, in which neither signals nor `close` are seen


class LibrdkafkaGroupConsumer(GroupConsumer):
    """librdkafka's consumer, connected at the first use; it fetches and heartbeats on threads of its own.

    What is asked about the topic and its group is asked by kafka-python.
    """

    def __init__(
        self, settings: KafkaSettings, subscription: Subscription, listener: PartitionListener
    ) -> None:
        super().__init__(settings, subscription, listener)
        self._health = Health(settings, self._brokers)
        self._assignment = Assignment(
            self._topic,
            LoopsThenListener(self, listener),
            self._beginnings,
            cooperative=settings.partition_assignment == "cooperative-sticky",
        )
        self._intake = Intake(
            settings, subscription, self._brokers, self._assignment, self._gone, self._beginnings
        )
        self._commits = Commits(self._brokers, self._health)
        self._handle: Handle | None = None
        watch(self)

    def get_connection(self) -> bool:
        try:
            self._connected()
        except TopicMissing:
            return True
        except QueueError:
            return False
        return True

    def fetch(self, timeout: float, max_messages: int) -> Sequence[Message]:
        deadline = time.monotonic() + timeout
        while True:
            try:
                messages = self._fetch(self._connected(), deadline, max_messages)
            except TopicMissing:
                remaining = max(0.0, deadline - time.monotonic())
                time.sleep(min(remaining, _LOOK_AGAIN))
                messages = []
            except SessionRefused as error:
                self._take_another_session(error)
                continue
            if messages:
                return messages
            if time.monotonic() >= deadline:
                self._check_brokers()
                return []

    def _fetch(self, handle: Handle, deadline: float, max_messages: int) -> list[Message]:
        """What comes next; nothing if something else came first."""
        wait = max(0.0, min(_SLICE, deadline - time.monotonic()))
        with (
            handle.use() as client,
            translated(self._brokers, reading=True),
            self._intake.undone_by_interrupts(),
        ):
            self._intake.put_back(client)
            if self.iteration.paused:
                self._hold(client, wait)
                return []
            if held := self._go_on(client, max_messages):
                return held
            # For n messages it waits until all have come, or the time is up.
            events = client.consume(max_messages, 0) or client.consume(1, wait)
            return self._intake.take(client, events, max_messages)

    def _hold(self, client: Any, wait: float) -> None:
        """Stay in the group and hand out nothing.

        Most pauses are short, and to stop drops what was fetched. So the first message that comes is kept
        here, and fetching is stopped only if the pause lasts.
        """
        assignment, now = self._assignment, time.monotonic()
        assignment.paused_since = assignment.paused_since or now
        if not assignment.stopped and now >= assignment.paused_since + _SHORT_PAUSE:
            assignment.stop(client)
        if assignment.held and not assignment.stopped:
            time.sleep(wait)
        else:
            taken = self._intake.take(client, client.consume(1, wait), 1)  # which may drop what is held
            assignment.held += taken

    def _go_on(self, client: Any, max_messages: int) -> list[Message]:
        """What a pause has held up."""
        assignment = self._assignment
        assignment.paused_since = None
        if assignment.stopped:
            assignment.start(client)
        held, assignment.held = assignment.held[:max_messages], assignment.held[max_messages:]
        return held

    def commit(self, positions: Iterable[Position]) -> None:
        wanted = {(topic, partition): offset for topic, partition, offset in positions}
        if not wanted:
            return
        offsets = [TopicPartition(*place, offset) for place, offset in wanted.items()]
        with self.iteration.committing, self._queries.answered():
            self._check_owned(wanted)
            with translated(self._brokers, reading=True):
                done = self._commits.commit(self._connected(), offsets)
            for refused in (each.error for each in done if each.error is not None):
                raise self._intake.error_of(refused)
        self.iteration.committed(Position(*place, offset) for place, offset in wanted.items())

    def pause(self) -> None:
        self.iteration.paused = True

    def resume(self) -> None:
        self.iteration.paused = False

    def close(self) -> None:
        try:
            self.iteration.close(self.commit)
        finally:
            self._lifetime.closed = True
            handle, self._handle = self._handle, None
            if handle is not None:
                handle.close(_close, _CLOSE_TIMEOUT)
            for client in self._queries.release():
                client.close(timeout_ms=round(_CLOSE_TIMEOUT * 1000))

    def end(self, timeout: float) -> None:
        """Commit what loops have done. The group sees the end of the session."""
        try:
            self.iteration.close(self.commit)
        finally:
            self._let_go()

    def forked(self) -> None:
        self.iteration.forked()
        self._let_go()

    def _let_go(self) -> None:
        self._lifetime.closed = True
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.abandon()
        self._queries.release()

    def _connected(self) -> Handle:
        """Raises TopicMissing as well: the group is joined when there is a topic."""
        self._lifetime.check_open()
        if self._handle is None:
            if not self._queries.topic_is_there():
                raise TopicMissing(f"there is no topic {self._topic} on Kafka at {self._brokers}")
            options = consumer_options(self._settings, self._subscription, self._session.seconds)
            client = ConfluentConsumer({**options, "error_cb": self._health.note}, logger=LogLines())
            self._assignment.subscribe(client)
            self._handle = Handle(client, self._closed)
        return self._handle

    def _closed(self) -> QueueError:
        return ConsumerClosed(f"the consumer of {self._topic} is closed")

    def _take_another_session(self, error: SessionRefused) -> None:
        """Connect again with a session that these brokers may take."""
        if not self._has_another_session():
            raise translate(kafka_errors.InvalidSessionTimeoutError(), self._brokers) from error
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close(_close, _CLOSE_TIMEOUT)

    def _check_brokers(self) -> None:
        """Raise if nothing came because a broker cannot be reached that we need."""
        if outage := self._health.outage():
            raise outage
        if self._queries.unanswered:
            self.end_positions()

    def _check_owned(self, wanted: Iterable[tuple[str, int]]) -> None:
        """The brokers would take a commit of one who never joined, as long as the group is empty."""
        if any(topic != self._topic or partition not in self._assignment.next for topic, partition in wanted):
            raise translate(kafka_errors.CommitFailedError(_NOT_OURS), self._brokers)

    def _position(self, partition: KafkaPythonPartition) -> int:
        number = partition.partition
        offset = self.iteration.next_offset(number)
        if offset is None:
            offset = self._assignment.position(number)
        return self._queries.committed(partition) if offset < 0 else offset

    def _beginnings(self, numbers: Collection[int]) -> dict[int, int]:
        partitions = [KafkaPythonPartition(self._topic, number) for number in numbers]
        with self._queries.answered():
            beginnings = self._queries.beginnings(partitions)
        return {partition.partition: offset for partition, offset in beginnings.items()}


def _close(client: Any) -> None:
    client.close()
