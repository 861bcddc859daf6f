"""Reading from Kafka as a member of a consumer group."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.interfaces import Consumer, PartitionListener
from estela_queue_adapter.lifecycle import watch
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.connections.connections import needed_addresses
from estela_queue_adapter.platforms.kafka.connections.sessions import SessionTimeout
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.lifetime import Lifetime
from estela_queue_adapter.platforms.kafka.queries import ANSWER_TIMEOUT_MS, TopicQueries, beginning
from estela_queue_adapter.platforms.kafka.rebalances import LoopsThenListener, RebalanceListener
from estela_queue_adapter.platforms.kafka.records.fetches import read_as_messages
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import denied, look_up
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_names import checked_topic
from estela_terminal.printable import printable_logger

_CLOSE_TIMEOUT_MS = 3_000  # for leaving the group in good order; else the session's end leaves it
_FETCH_BYTES = 16 * 1024 * 1024  # what one fetch may bring over all partitions: bounds the memory

logger = printable_logger(__name__)


class KafkaGroupConsumer(Consumer):
    """kafka-python's consumer, connected at the first use; it heartbeats on a thread of its own."""

    def __init__(
        self, settings: KafkaSettings, subscription: Subscription, listener: PartitionListener
    ) -> None:
        self._settings = settings
        self._subscription = subscription
        self._listener = listener
        self._topic = checked_topic(subscription.topic)
        self._brokers = Brokers(settings)
        self._lifetime = Lifetime(self._topic, self._brokers)
        self._queries = TopicQueries(settings, subscription, self._brokers, self._lifetime)
        self._session = SessionTimeout(settings.session_timeout)
        self._client: KafkaConsumer | None = None
        self._topic_id: object = None  # of the topic that is read; None from brokers that know no such ids
        watch(self)

    @property
    def subscription(self) -> Subscription:
        return self._subscription

    def get_connection(self) -> bool:
        try:
            self._connected()
        except QueueError:
            return False
        return True

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        return self.iteration.take(self.fetch, max_messages) or self.fetch(timeout, max_messages)

    def fetch(self, timeout: float, max_messages: int) -> Sequence[Message]:
        client, deadline = self._connected(), time.monotonic() + timeout
        while True:
            remaining = max(0.0, deadline - time.monotonic())
            with self._lifetime.translated(), _undone_by_interrupts(client):
                try:
                    fetched = client.poll(timeout_ms=int(remaining * 1000), max_records=max_messages)
                    messages = list(chain.from_iterable(fetched.values()))
                except kafka_errors.NoOffsetForPartitionError as error:  # the group is new to these
                    client.seek_to_beginning(*error.args[0])
                except kafka_errors.InvalidSessionTimeoutError as error:
                    client = self._with_another_session(error)
                except kafka_errors.OffsetOutOfRangeError as error:
                    self._on_offset_out_of_range(client, error.args[0])
                except kafka_errors.LogTruncationError as error:
                    self._on_truncation(client, error.divergent_offsets)
                else:
                    self._finish_poll(client, messages)
                    return messages

    def _finish_poll(self, client: KafkaConsumer, messages: Sequence[Message]) -> None:
        """Do what the client's poll leaves undone, and raise what it only writes to its log."""
        self._resume_join(client)
        # What was fetched before is handed out first.
        if not messages and self._topic in client._cluster.unauthorized_topics:
            client._cluster.request_update()  # so that it is seen when we are let in
            raise denied(self._topic, self._brokers)
        if not messages:
            self._check_brokers(client)

    def commit(self, positions: Iterable[Position]) -> None:
        offsets = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
            for topic, partition, offset in positions
        }
        if not offsets:
            return
        with self.iteration.committing, self._queries.answered():
            self._connected().commit(offsets, timeout_ms=ANSWER_TIMEOUT_MS)
        self.iteration.committed(
            Position(tp.topic, tp.partition, committed.offset) for tp, committed in offsets.items()
        )

    def pause(self) -> None:
        self.iteration.paused = True
        if self._client is not None:
            self._client.pause(*self._client.assignment())

    def resume(self) -> None:
        self.iteration.paused = False
        if self._client is not None:
            self._client.resume(*self._client.assignment())

    def positions(self) -> Sequence[Position]:
        positions = []
        for partition in self._queries.partitions():
            with self._queries.answered():
                offset = self._position(partition)
            positions.append(Position(self._topic, partition.partition, offset))
        return positions

    def end_positions(self) -> Sequence[Position]:
        return self._queries.ends()

    def log_end_positions(self) -> Sequence[Position]:
        return self._queries.log_ends()

    def close(self) -> None:
        try:
            self.iteration.close(self.commit)
        finally:
            for client in self._release():
                with translated(self._brokers):
                    client.close(timeout_ms=_CLOSE_TIMEOUT_MS)

    def end(self, timeout: float) -> None:
        """Commit what loops have done. The group sees the end of the session."""
        try:
            self.iteration.close(self.commit)
        finally:
            self._release()

    def forked(self) -> None:
        self.iteration.forked()
        self._release()

    def _release(self) -> list[KafkaConsumer]:
        """The clients of a consumer that is closed from now on."""
        self._lifetime.closed = True
        client, self._client = self._client, None
        return [*([] if client is None else [client]), *self._queries.release()]

    def _connected(self) -> KafkaConsumer:
        self._lifetime.check_open()
        if self._client is None:
            client = connect_reader(
                self._settings,
                self._brokers,
                self._subscription.group_id,
                auto_offset_reset="none",  # so that we see, and can say, which messages are gone
                partition_assignment_strategy=self._settings.assignors,
                fetch_max_bytes=_FETCH_BYTES,
                **self._session.options(),
                **self._max_poll_interval,
            )
            read_as_messages(client)
            listener = LoopsThenListener(self, self._listener)
            client.subscribe([self._topic], listener=RebalanceListener(client, listener, self._assigned))
            self._client = client
            # Known before the group is joined, or a second join, of every member, follows at once.
            look_up(client, self._brokers, self._topic)
            self._topic_id = client._cluster.topic_id(self._topic)
        return self._client

    @property
    def _max_poll_interval(self) -> dict[str, int]:
        seconds = self._subscription.max_timeout
        return {} if seconds is None else {"max_poll_interval_ms": max(1, int(seconds * 1000))}

    def _with_another_session(self, error: Exception) -> KafkaConsumer:
        """Connect again with a session that these brokers may take."""
        refused = self._session.seconds
        if not self._session.try_another():
            raise error
        logger.warning(
            "Kafka at %s refuses a session timeout of %g s for the group %s; trying %g s. "
            "Set QUEUE_PLATFORM_SESSION_TIMEOUT to one that the brokers allow.",
            self._brokers,
            refused,
            self._subscription.group_id,
            self._session.seconds,
        )
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout_ms=0)
        return self._connected()

    def _check_brokers(self, client: KafkaConsumer) -> None:
        """Raise if nothing came because a broker cannot be reached that we need.

        kafka-python goes on trying, and tells nobody.
        """
        if outage := self._brokers.outage(needed_addresses(client)):
            raise outage
        if self._queries.unanswered:
            self.end_positions()

    def _position(self, partition: TopicPartition) -> int:
        offset = self.iteration.next_offset(partition.partition)
        if offset is not None:
            return offset
        if self._client is not None and partition in self._client.assignment():
            try:
                offset = self._client.position(partition, timeout_ms=0)  # if it is known already
            except (kafka_errors.NoOffsetForPartitionError, kafka_errors.KafkaTimeoutError):
                offset = None  # the next poll finds out
        return self._queries.committed(partition) if offset is None else int(offset)

    def _on_offset_out_of_range(self, client: KafkaConsumer, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at the earliest message that is still there."""
        for partition, position in positions.items():
            earliest = beginning(client, partition)
            client.seek(partition, earliest)
            self._gone(partition.partition, position, earliest)

    def _on_truncation(
        self, client: KafkaConsumer, ends: Mapping[TopicPartition, OffsetAndMetadata | None]
    ) -> None:
        """The brokers lost the end of a partition that was read already: go on where it ends now.

        If the topic is another one of the same name, nothing of it was read: go on at its beginning.
        """
        before, self._topic_id = self._topic_id, client._cluster.topic_id(self._topic)
        for partition, end in ends.items():
            position = client.position(partition, timeout_ms=ANSWER_TIMEOUT_MS) or 0
            if end is None or self._topic_id != before:
                resumed = beginning(client, partition)
            else:
                resumed = int(end.offset)
            client.seek(partition, resumed)
            self._gone(partition.partition, position, resumed)

    def _gone(self, partition: int, position: int, resumed: int) -> None:
        if resumed < position:  # offsets start again at 0
            self.iteration.lost([partition])
        self._listener.messages_gone(partition, position, resumed)

    def _resume_join(self, client: KafkaConsumer) -> None:
        """Have the next poll go on with a join of the group that this one began and did not see the end of.

        Where a change of the topic's partitions was the reason to join, kafka-python 3.0 forgets that it is
        joining as soon as it has made its plan: it neither reads nor sends heartbeats then, for ever.
        """
        coordinator = client._coordinator
        if coordinator.rejoining and not coordinator.need_rejoin():
            coordinator.request_rejoin()

    def _assigned(self, client: KafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        if self.iteration.paused:
            client.pause(*partitions)


@contextlib.contextmanager
def _undone_by_interrupts(client: KafkaConsumer) -> Iterator[None]:
    """A poll that a signal handler ends with an exception (Ctrl-C) has moved no position.

    Else what it was about to return would be skipped, by a consumer that is used on.
    """
    before = {tp: state.position for tp, state in client._subscription.assignment.items()}
    try:
        yield
    except Exception:
        raise
    except BaseException:
        client._fetcher._next_partition_records = None  # half read, it would be read for ever
        for tp, state in client._subscription.assignment.items():
            if before.get(tp) is None:
                state._position = None  # then it goes on at what is committed
            elif state.position != before[tp]:
                state.seek(before[tp])
        raise
