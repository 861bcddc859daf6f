"""Reading from Kafka as a member of a consumer group."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import QueueError, TopicMissing
from estela_queue_adapter.interfaces import PartitionListener
from estela_queue_adapter.lifecycle import watch
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.group_consumer import GroupConsumer, LoopsThenListener
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.interface.public import PublicReader
from estela_queue_adapter.platforms.kafka.kafka_python.rebalances import RebalanceListener
from estela_queue_adapter.platforms.kafka.queries import ANSWER_TIMEOUT_MS, beginning
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import denied, look_up, topic_id
from estela_queue_adapter.subscription import Subscription

_CLOSE_TIMEOUT_MS = 3_000  # for leaving the group in good order; else the session's end leaves it
_LOOK_AGAIN = 0.5  # seconds before a topic that is not there is looked for again
_SILENCE = (
    15.0  # seconds without a message before brokers are asked whether they answer, if nothing else tells
)


class KafkaGroupConsumer(GroupConsumer):
    """kafka-python's consumer, connected at the first use; it heartbeats on a thread of its own."""

    def __init__(
        self, settings: KafkaSettings, subscription: Subscription, listener: PartitionListener
    ) -> None:
        super().__init__(settings, subscription, listener)
        self._client: KafkaConsumer | None = None
        self._reader: PublicReader | None = None  # of the client, from the moment on that there is a topic
        self._topic_id: object = None  # of the topic that is read; None from brokers that know no such ids
        self._silent_since: float | None = None
        watch(self)

    def get_connection(self) -> bool:
        try:
            self._connected()
        except QueueError:
            return False
        return True

    def fetch(self, timeout: float, max_messages: int) -> Sequence[Message]:
        client, deadline = self._connected(), time.monotonic() + timeout
        while True:
            reader = self._reader or self._subscribed(client)
            remaining = max(0.0, deadline - time.monotonic())
            if reader is None:  # there is no topic yet
                time.sleep(min(remaining, _LOOK_AGAIN))
                if remaining <= _LOOK_AGAIN:
                    return []
                continue
            with self._lifetime.translated():
                try:
                    messages = reader.poll(remaining, max_messages)
                except kafka_errors.NoOffsetForPartitionError as error:  # the group is new to these
                    for partition, first in self._queries.beginnings(error.args[0]).items():
                        client.seek(partition, first)
                except kafka_errors.InvalidSessionTimeoutError as error:
                    client = self._with_another_session(error)
                except kafka_errors.OffsetOutOfRangeError as error:
                    self._on_offset_out_of_range(client, error.args[0])
                except kafka_errors.LogTruncationError as error:
                    self._on_truncation(client, error.divergent_offsets)
                else:
                    self._finish_poll(reader, messages)
                    return messages

    def _finish_poll(self, reader: PublicReader, messages: Sequence[Message]) -> None:
        """Raise what the client's poll only writes to its log, or does not know."""
        if messages:  # what was fetched before is handed out first
            self._silent_since = None
            return
        if reader.is_denied(self._topic):
            raise denied(self._topic, self._brokers)
        self._check_brokers(reader)
        if reader.is_stuck():
            self._replace_client()

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
        client, self._client, self._reader = self._client, None, None
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
                fetch_max_bytes=self._settings.fetch_max_bytes,
                max_partition_fetch_bytes=self._settings.partition_fetch_bytes,
                **self._session.options(),
                **self._max_poll_interval,
            )
            self._client = client
            self._subscribed(client)
        return self._client

    def _subscribed(self, client: KafkaConsumer) -> PublicReader | None:
        """What reads the topic; None if there is none, and asking the client for it might create it."""
        interface = interface_for(self._settings)
        if not (interface.can_await_topics or look_up(client, self._settings, self._brokers, self._topic)):
            return None
        reader = interface.reader(client, self._queries.committed)
        listener = LoopsThenListener(self, self._listener)
        client.subscribe([self._topic], listener=RebalanceListener(client, reader, listener, self._assigned))
        self._reader = reader
        # Known before the group is joined, or a second join, of every member, follows at once.
        numbers = look_up(client, self._settings, self._brokers, self._topic)
        with translated(self._brokers):
            interface.learn(client, [TopicPartition(self._topic, number) for number in numbers])
        self._topic_id = topic_id(client, self._settings, self._brokers, self._topic)
        return reader

    @property
    def _max_poll_interval(self) -> dict[str, int]:
        seconds = self._subscription.max_timeout
        return {} if seconds is None else {"max_poll_interval_ms": max(1, int(seconds * 1000))}

    def _with_another_session(self, error: Exception) -> KafkaConsumer:
        """Connect again with a session that these brokers may take."""
        if not self._has_another_session():
            raise error
        self._replace_client()
        return self._connected()

    def _replace_client(self) -> None:
        """Have the next poll connect again."""
        client, self._client, self._reader = self._client, None, None
        if client is not None:
            client.close(timeout_ms=0)

    def _check_brokers(self, reader: PublicReader) -> None:
        """Raise if nothing came because a broker cannot be reached that we need.

        kafka-python goes on trying, and tells nobody.
        """
        needed = reader.needed_addresses()
        if needed is None:
            self._check_by_asking()
        elif outage := self._brokers.outage(needed):
            raise outage
        if self._queries.unanswered:
            self.end_positions()

    def _check_by_asking(self) -> None:
        """Ask the brokers now and then, as the client does not say which of them it needs."""
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now > self._silent_since + _SILENCE and not self._queries.unanswered:
            self._silent_since = now
            with contextlib.suppress(TopicMissing):  # one that appears later is read
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
        before, self._topic_id = self._topic_id, topic_id(client, self._settings, self._brokers, self._topic)
        for partition, end in ends.items():
            position = client.position(partition, timeout_ms=ANSWER_TIMEOUT_MS) or 0
            if end is None or self._topic_id != before:
                resumed = beginning(client, partition)
            else:
                resumed = int(end.offset)
            client.seek(partition, resumed)
            self._gone(partition.partition, position, resumed)

    def _assigned(self, client: KafkaConsumer, partitions: Collection[TopicPartition]) -> None:
        if self.iteration.paused:
            client.pause(*partitions)
