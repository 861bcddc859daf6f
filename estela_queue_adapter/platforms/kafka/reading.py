"""Reading outside every group: a topic, or single messages of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence

from kafka import KafkaConsumer, TopicPartition

from estela_queue_adapter.errors import QueueError, QueueUnreachable
from estela_queue_adapter.messages import Message, Position
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.interface.public import PublicReader
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import partitions_of
from estela_queue_adapter.topic_names import checked_topic
from estela_queue_adapter.topic_reader import Peek, TopicReader

_ANSWER_TIMEOUT_MS = 10_000
_SILENT_POLLS = 6  # of 5 s each without a step forward, before the queue counts as unavailable
_POLL = 5.0  # seconds
_FETCH_WAIT_MS = 20  # that a broker may wait at an end: a question behind that fetch waits too
_PEEK = 1.0  # seconds that a message may take which is there
_CLOSE_TIMEOUT_MS = 1_000


class KafkaReader(TopicReader):
    """Reads every committed message of a topic once. Its client is kept until an error, or until `close`."""

    def __init__(self, settings: KafkaSettings, topic: str, since: float = 0.0) -> None:
        self._settings = settings
        self._topic = checked_topic(topic)
        self._since = since
        self._brokers = Brokers(settings)
        self._client: KafkaConsumer | None = None
        self._reader: PublicReader | None = None
        self._topic_id: object = None
        self._next: dict[TopicPartition, int] = {}  # the offset at which each goes on

    def read_on(self) -> Iterator[Message]:
        try:
            yield from self._read_on()
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # it has committed nothing, and may be what failed
                client.close(autocommit=False, timeout_ms=_CLOSE_TIMEOUT_MS)

    def _read_on(self) -> Iterator[Message]:
        client = self._connected()
        partitions = partitions_of(client, self._settings, self._brokers, self._topic)
        with translated(self._brokers):
            ends = client.end_offsets(partitions, timeout_ms=_ANSWER_TIMEOUT_MS)
        if self._is_another_topic(client, ends):
            self.begun_again += 1
            self._next = dict.fromkeys(partitions, 0)
        if new := [partition for partition in partitions if partition not in self._next]:
            self._next.update(self._first_offsets(client, new, ends))
        for partition in partitions:
            if self._next[partition] < ends[partition]:
                yield from self._read_partition(client, partition, ends[partition])

    def _connected(self) -> KafkaConsumer:
        if self._client is None:
            self._client = connect_reader(
                self._settings,
                self._brokers,
                None,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=_FETCH_WAIT_MS,
            )
            self._reader = interface_for(self._settings).reader(self._client)
        return self._client

    def _is_another_topic(self, client: KafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
        before, self._topic_id = self._topic_id, interface_for(self._settings).topic_id(client, self._topic)
        is_another = None not in (before, self._topic_id) and before != self._topic_id
        return is_another or any(ends[each] < at for each, at in self._next.items() if each in ends)

    def _first_offsets(
        self, client: KafkaConsumer, partitions: Sequence[TopicPartition], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Where to begin: at `since`; a partition without so new a message, at its end."""
        if self._since <= 0:
            return dict.fromkeys(partitions, 0)
        times = dict.fromkeys(partitions, int(self._since * 1000))
        with translated(self._brokers):
            found = client.offsets_for_times(times, timeout_ms=_ANSWER_TIMEOUT_MS)
        return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}

    def _read_partition(
        self, client: KafkaConsumer, partition: TopicPartition, end: int
    ) -> Iterator[Message]:
        assert self._reader is not None
        with translated(self._brokers):
            client.assign([partition])
            if self._next[partition]:
                client.seek(partition, self._next[partition])
            else:
                client.seek_to_beginning(partition)
            position = client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) or 0
        silent = 0
        while position < end:
            with translated(self._brokers):
                messages = self._reader.poll(_POLL)
                before, position = position, client.position(partition, timeout_ms=_ANSWER_TIMEOUT_MS) or 0
            for message in messages:
                if self._next[partition] <= message.offset < end:
                    self._next[partition] = message.offset + 1
                    yield message
            silent = 0 if position > before else silent + 1
            if silent == _SILENT_POLLS:
                raise self._brokers.outage() or QueueUnreachable(
                    f"Kafka at {self._brokers} has stopped answering for {partition}"
                )
        self._next[partition] = end


class KafkaPeek(Peek):
    """Fetches the batch that a message is in, and no more, on a connection of its own."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._brokers = Brokers(settings)
        self._topic = checked_topic(topic)
        self._client: KafkaConsumer | None = None
        self._reader: PublicReader | None = None

    def times(self, positions: Iterable[Position]) -> dict[int, float]:
        client, reader = self._connected()
        wanted = {TopicPartition(self._topic, partition): offset for _, partition, offset in positions}
        found: dict[int, float] = {}
        with translated(self._brokers):
            client.assign(list(wanted))
            for partition, offset in wanted.items():
                client.seek(partition, offset)
            deadline = time.monotonic() + _PEEK
            while wanted and (remaining := deadline - time.monotonic()) > 0:
                for message in reader.poll(remaining, 1):
                    found.setdefault(message.partition, message.timestamp)
                    wanted.pop(TopicPartition(self._topic, message.partition), None)
                client.pause(*(client.assignment() - wanted.keys()))
            client.unsubscribe()
        return {partition: seconds for partition, seconds in found.items() if seconds > 0}

    def close(self) -> None:
        client, self._client, self._reader = self._client, None, None
        if client is not None:
            with contextlib.suppress(QueueError), translated(self._brokers):
                client.close(autocommit=False, timeout_ms=1000)

    def _connected(self) -> tuple[KafkaConsumer, PublicReader]:
        if self._client is None or self._reader is None:
            self._client = connect_reader(
                self._settings,
                self._brokers,
                None,
                auto_offset_reset="earliest",  # what was there is gone: what comes then is the first
                fetch_max_bytes=1,  # brokers send one batch, however large it is
                max_partition_fetch_bytes=1,
            )
            self._reader = interface_for(self._settings).reader(self._client)
        return self._client, self._reader
