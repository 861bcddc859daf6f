"""Reading from Kafka as a member of a consumer group."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import ConsumerClosed, QueueError, QueueUnreachable
from estela_queue_adapter.interfaces import Consumer, Message, PartitionListener, Position, Subscription
from estela_queue_adapter.lifecycle import interpreter_ended, watch
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.connections.connections import needed_addresses
from estela_queue_adapter.platforms.kafka.connections.sessions import other_sessions, session_options
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.rebalances import LoopsFirst, Rebalances
from estela_queue_adapter.platforms.kafka.records.fetches import read_as_messages
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings, checked_topic
from estela_queue_adapter.platforms.kafka.topics import absence, denied, look_up, partitions_of
from estela_terminal.printable import printable_logger

_ANSWER_TIMEOUT_MS = 10_000  # for a commit or a question, before the queue counts as unreachable
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
        self._where = Brokers(settings)
        self._client: KafkaConsumer | None = None
        self._asking: KafkaConsumer | None = None
        self._asking_all: KafkaConsumer | None = None
        self._topic_id: object = None  # of the topic that is read; None from brokers that know no such ids
        self._closed = False
        self._session = settings.session_timeout
        self._other_sessions = other_sessions(self._session)
        self._unanswered = False
        """Whether the last question had no answer: the queue is not back before one has."""
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
            left = max(0.0, deadline - time.monotonic())
            with self._translated(), _undone_by_interrupts(client):
                try:
                    fetched = client.poll(timeout_ms=int(left * 1000), max_records=max_messages)
                    messages = list(chain.from_iterable(fetched.values()))
                except kafka_errors.NoOffsetForPartitionError as error:  # the group is new to these
                    client.seek_to_beginning(*error.args[0])
                except kafka_errors.InvalidSessionTimeoutError as error:
                    client = self._with_another_session(error)
                except kafka_errors.OffsetOutOfRangeError as error:
                    self._over_the_gap(client, error.args[0])
                except kafka_errors.LogTruncationError as error:
                    self._after_truncation(client, error.divergent_offsets)
                else:
                    self._look_around(client, messages)
                    return messages

    def _look_around(self, client: KafkaConsumer, messages: Sequence[Message]) -> None:
        """See to what a poll leaves undone or untold."""
        self._take_up_the_join(client)
        # kafka-python only writes this to the log. What was fetched before is handed out first.
        if not messages and self._topic in client._cluster.unauthorized_topics:
            client._cluster.request_update()  # so that it is seen when we are let in
            raise denied(self._topic, self._where)
        if not messages:
            self._check_brokers(client)

    def commit(self, positions: Iterable[Position]) -> None:
        offsets = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
            for topic, partition, offset in positions
        }
        if not offsets:
            return
        with self.iteration.committing, self._asked():
            self._connected().commit(offsets, timeout_ms=_ANSWER_TIMEOUT_MS)
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
        for partition in self._partitions():
            with self._asked():
                offset = self._position(partition)
            positions.append(Position(self._topic, partition.partition, offset))
        return positions

    def end_positions(self) -> Sequence[Position]:
        return self._ends(self._asker())

    def log_end_positions(self) -> Sequence[Position]:
        self._check_open()
        if self._asking_all is None:
            self._asking_all = connect_reader(
                self._settings, self._where, None, isolation_level="read_uncommitted"
            )
        return self._ends(self._asking_all)

    def close(self) -> None:
        try:
            self.iteration.close(self.commit)
        finally:
            self._closed = True
            clients = (self._client, self._asking, self._asking_all)
            self._client = self._asking = self._asking_all = None
            for client in filter(None, clients):
                with translated(self._where):
                    client.close(timeout_ms=_CLOSE_TIMEOUT_MS)

    def end(self, timeout: float) -> None:
        """Commit what loops have done. The group sees the end of the session."""
        try:
            self.iteration.close(self.commit)
        finally:
            self._closed = True
            self._client = self._asking = self._asking_all = None

    def forked(self) -> None:
        self.iteration.forked()
        self._closed = True
        self._client = self._asking = self._asking_all = None

    def _check_open(self) -> None:
        if self._closed or interpreter_ended():
            raise ConsumerClosed(f"the consumer of {self._topic} is closed")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise our errors where the client raises its own: ConsumerClosed if it was closed meanwhile."""
        try:
            with translated(self._where, reading=True):
                yield
        except (QueueError, RuntimeError) as error:
            if self._closed and not isinstance(error, ConsumerClosed):
                raise ConsumerClosed(f"the consumer of {self._topic} was closed meanwhile") from error
            raise

    def _connected(self) -> KafkaConsumer:
        self._check_open()
        if self._client is None:
            client = connect_reader(
                self._settings,
                self._where,
                self._subscription.group_id,
                auto_offset_reset="none",  # so that we see, and can tell, where messages are gone
                partition_assignment_strategy=self._settings.assignors,
                fetch_max_bytes=_FETCH_BYTES,
                **session_options(self._session),
                **self._max_poll_interval,
            )
            read_as_messages(client)
            listener = LoopsFirst(self, self._listener)
            client.subscribe([self._topic], listener=Rebalances(client, listener, self._assigned))
            self._client = client
            # Known before the group is joined, or a second join, of every member, follows at once.
            look_up(client, self._where, self._topic)
            self._topic_id = client._cluster.topic_id(self._topic)
        return self._client

    @property
    def _max_poll_interval(self) -> dict[str, int]:
        seconds = self._subscription.max_timeout
        return {} if seconds is None else {"max_poll_interval_ms": max(1, int(seconds * 1000))}

    def _asker(self) -> KafkaConsumer:
        """A client for questions, on a connection of its own, which joins no group.

        A broker answers one request of a connection after the other, and a join of the group only when every
        member has joined: a question behind it would keep this reader from polling, and so from joining.
        """
        self._check_open()
        if self._asking is None:
            self._asking = connect_reader(self._settings, self._where, self._subscription.group_id)
        return self._asking

    def _with_another_session(self, error: Exception) -> KafkaConsumer:
        """Connect again with a session that these brokers may take."""
        if not self._other_sessions:
            raise error
        refused, self._session = self._session, self._other_sessions.pop(0)
        logger.warning(
            "Kafka at %s takes no session of %g s for %s; trying %g s. "
            "QUEUE_PLATFORM_SESSION_TIMEOUT sets it.",
            self._where,
            refused,
            self._subscription.group_id,
            self._session,
        )
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout_ms=0)
        return self._connected()

    def _check_brokers(self, client: KafkaConsumer) -> None:
        """Raise if nothing came because a broker cannot be reached that we need.

        kafka-python goes on trying, and tells nobody.
        """
        if outage := self._where.outage(needed_addresses(client)):
            raise outage
        if self._unanswered:
            self.end_positions()

    def _ends(self, client: KafkaConsumer) -> list[Position]:
        partitions = self._partitions()
        with self._asked():
            ends = client.end_offsets(partitions, timeout_ms=_ANSWER_TIMEOUT_MS)
        return [Position(self._topic, partition.partition, offset) for partition, offset in ends.items()]

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        """Raise our errors: also for a topic that was deleted, which its client goes on asking for."""
        try:
            with self._translated():
                try:
                    yield
                except kafka_errors.KafkaTimeoutError:
                    if absent := absence(self._settings, self._where, self._topic):
                        raise absent from None
                    raise
        except QueueUnreachable:
            self._unanswered = True
            raise
        self._unanswered = False

    def _partitions(self) -> list[TopicPartition]:
        with self._asked():
            return partitions_of(self._asker(), self._settings, self._where, self._topic)

    def _position(self, partition: TopicPartition) -> int:
        offset = self.iteration.next_offset(partition.partition)
        if offset is not None:
            return offset
        if self._client is not None and partition in self._client.assignment():
            try:
                offset = self._client.position(partition, timeout_ms=0)  # where it is known already
            except (kafka_errors.NoOffsetForPartitionError, kafka_errors.KafkaTimeoutError):
                offset = None  # the next poll finds out
        if offset is None:
            offset = self._asker().committed(partition, timeout_ms=_ANSWER_TIMEOUT_MS)
        return self._beginning(self._asker(), partition) if offset is None else int(offset)

    def _beginning(self, client: KafkaConsumer, partition: TopicPartition) -> int:
        return int(client.beginning_offsets([partition], timeout_ms=_ANSWER_TIMEOUT_MS)[partition])

    def _over_the_gap(self, client: KafkaConsumer, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at the earliest message that is left."""
        for partition, position in positions.items():
            earliest = self._beginning(client, partition)
            client.seek(partition, earliest)
            self._gone(partition.partition, position, earliest)

    def _after_truncation(
        self, client: KafkaConsumer, ends: Mapping[TopicPartition, OffsetAndMetadata | None]
    ) -> None:
        """The brokers lost the end of a partition that was read already: go on where it ends now.

        If the topic is another one of the same name, nothing of it was read: go on at its beginning.
        """
        before, self._topic_id = self._topic_id, client._cluster.topic_id(self._topic)
        for partition, end in ends.items():
            position = client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) or 0
            if end is None or self._topic_id != before:
                resumed = self._beginning(client, partition)
            else:
                resumed = int(end.offset)
            client.seek(partition, resumed)
            self._gone(partition.partition, position, resumed)

    def _gone(self, partition: int, position: int, resumed: int) -> None:
        if resumed < position:  # offsets begin anew
            self.iteration.lost([partition])
        self._listener.messages_gone(partition, position, resumed)

    def _take_up_the_join(self, client: KafkaConsumer) -> None:
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
