"""The embedded platform: a queue without a server, in one file that several processes share."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from estela_queue_adapter.errors import (
    CommitRefused,
    ConfigurationError,
    ConsumerClosed,
    ProducerClosed,
    QueueError,
    QueueUnreachable,
)
from estela_queue_adapter.files.private import LockFile
from estela_queue_adapter.interfaces import (
    Consumer,
    Headers,
    Message,
    OnDelivery,
    Outgoing,
    PartitionListener,
    Platform,
    Position,
    Producer,
    Subscription,
    Transactions,
)
from estela_queue_adapter.lifecycle import interpreter_ended, watch
from estela_queue_adapter.platforms.embedded.log import PARTITION, EmbeddedLog
from estela_queue_adapter.serialization import serialize

_READ_AT_ONCE = 500  # messages
_LOOK_AGAIN = 0.02  # seconds between looks at a log that has nothing new

# In a forked process SQLite's connections must not be closed, nor locks let go, so they are kept.
_of_parents: list[EmbeddedLog | LockFile] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """Where the log is."""

    path: str = field(default=".estela/queue.db")


class EmbeddedProducer(Producer):
    """Appends at once: a message is acknowledged when `send` returns, safe from power cuts after `flush`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = False
        self._log: EmbeddedLog | None = None
        self._lock = threading.RLock()  # signal handlers may send too
        watch(self)

    def get_connection(self) -> bool:
        self._open()
        return True

    def send(
        self,
        topic: str,
        data: Any,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        on_delivery: OnDelivery | None = None,
    ) -> None:
        self._check_open()
        value = serialize(data)
        try:
            with self._lock:  # so that nobody closes the log meanwhile
                self._open().append([Outgoing(topic, value, key, headers)])
        except ProducerClosed:
            raise
        except QueueError as error:
            if on_delivery is None:
                raise
            on_delivery(error)
        else:
            if on_delivery is not None:
                on_delivery(None)

    def flush(self, timeout: float | None = None) -> None:
        with self._lock:
            if self._log is not None:
                self._log.sync()

    def close(self, timeout: float = 30.0) -> None:
        with self._lock:
            self._closed = True
            log, self._log = self._log, None
            if log is not None:
                log.sync()
                log.close()

    def end(self, timeout: float) -> None:
        self.close(timeout)

    def forked(self) -> None:
        self._lock = threading.RLock()  # another thread of the parent may have held it
        if self._log is not None:
            _of_parents.append(self._log)
            self._log = None

    def _check_open(self) -> None:
        if self._closed or interpreter_ended():
            raise ProducerClosed("the producer is closed")

    def _open(self) -> EmbeddedLog:
        with self._lock:
            self._check_open()
            if self._log is None:
                self._log = EmbeddedLog(self._path)
            return self._log


class EmbeddedConsumer(Consumer):
    """The one reader of its group and topic: it holds a lock file, which the system frees if it dies."""

    def __init__(self, path: Path, subscription: Subscription, listener: PartitionListener) -> None:
        self._path = path
        self._subscription = subscription
        self._listener = listener
        self._group, self._topic = subscription.group_id, subscription.topic
        name = hashlib.sha256(f"{self._group}\0{self._topic}".encode()).hexdigest()[:16]
        self._turn = LockFile(Path(f"{path}-reader-{name}.lock"))
        self._reading = False
        """Whether the partition is ours, as the listener was told."""
        self._generation = 0
        self._log: EmbeddedLog | None = None
        self._offset = 0
        self._closed = False
        watch(self)

    @property
    def subscription(self) -> Subscription:
        return self._subscription

    def get_connection(self) -> bool:
        try:
            self._open()
        except QueueUnreachable:
            return False
        return True

    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        return self.iteration.take(self.fetch, max_messages) or self.fetch(timeout, max_messages)

    def fetch(self, timeout: float, max_messages: int) -> Sequence[Message]:
        deadline = time.monotonic() + timeout
        while True:
            log = self._open()
            if self._my_turn(log) and not self.iteration.paused:
                messages = self._read(log, max_messages)
                if messages:
                    return messages
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            time.sleep(min(_LOOK_AGAIN, left))

    def _read(self, log: EmbeddedLog, max_messages: int) -> Sequence[Message]:
        before = self._offset
        try:
            messages = log.read(self._topic, before, max_messages)
            if messages:
                self._offset = messages[-1].offset + 1
            return messages
        except BaseException:  # Ctrl-C, say: what was not handed out is read again
            self._offset = before
            raise

    def commit(self, positions: Iterable[Position]) -> None:
        for position in positions:
            with self.iteration.committing:
                log = self._open()
                if not self._keeps_turn(log):
                    raise CommitRefused(
                        f"another reader of {self._group} has {self._topic}, or it was recreated"
                    )
                log.commit(self._group, self._topic, position.offset)
            self.iteration.committed([position])

    def pause(self) -> None:
        self.iteration.paused = True

    def resume(self) -> None:
        self.iteration.paused = False

    def positions(self) -> Sequence[Position]:
        log = self._open()
        log.end(self._topic)
        offset = self._offset if self._keeps_turn(log) else log.position(self._group, self._topic)
        waiting = self.iteration.next_offset(PARTITION)
        offset = offset if waiting is None else waiting
        return [Position(self._topic, PARTITION, offset)]

    def end_positions(self) -> Sequence[Position]:
        return [Position(self._topic, PARTITION, self._open().end(self._topic))]

    def close(self) -> None:
        try:
            self.iteration.close(self.commit)
        finally:
            self._closed = True
            self._reading = False
            self._turn.release()
            log, self._log = self._log, None
            if log is not None:
                log.close()

    def end(self, timeout: float) -> None:
        self.close()

    def forked(self) -> None:
        self.iteration.forked()
        self._closed = True
        self._reading = False
        _of_parents.append(self._turn)
        self._turn = LockFile(self._turn.path)
        if self._log is not None:
            _of_parents.append(self._log)
            self._log = None

    def _open(self) -> EmbeddedLog:
        if self._closed or interpreter_ended():
            raise ConsumerClosed(f"the consumer of {self._topic} is closed")
        if self._log is None:
            self._log = EmbeddedLog(self._path)
        return self._log

    def _my_turn(self, log: EmbeddedLog) -> bool:
        if self._keeps_turn(log):
            return True
        with self.iteration.committing:  # what was done in another turn is not committed in this one
            self._lose_turn(log)
            try:
                if not self._turn.acquire():
                    return False
            except OSError as error:
                raise QueueUnreachable(f"{self._turn.path} cannot be locked: {error}") from error
            self._offset = log.position(self._group, self._topic)
            self._generation = log.generation
            self._reading = True
        self._listener.partitions_assigned([PARTITION])
        return True

    def _keeps_turn(self, log: EmbeddedLog) -> bool:
        """Whether the turn is still ours: neither the lock nor the log was removed or replaced."""
        try:
            return self._reading and self._generation == log.generation and self._turn.held
        except OSError as error:
            raise QueueUnreachable(f"{self._turn.path} cannot be looked at: {error}") from error

    def _lose_turn(self, log: EmbeddedLog) -> None:
        """Tell the listener that what it has in hand can no longer be committed."""
        self._turn.release()
        if self._reading:
            self._reading = False
            self.iteration.lost([PARTITION])
            self._listener.partitions_lost([PARTITION])
            if self._generation != log.generation:
                self._listener.messages_gone(PARTITION, self._offset, log.position(self._group, self._topic))


class EmbeddedTransactions(Transactions):
    """SQLite's own; whoever opens the same name later takes it over, as on Kafka."""

    def __init__(self, path: Path, name: str) -> None:
        self._log = EmbeddedLog(path)
        self._name = name
        self._epoch = self._log.open_epoch(name)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self._log.append(messages, epoch=(self._name, self._epoch))

    def close(self) -> None:
        self._log.close()


class EmbeddedPlatform(Platform):
    """A queue without a server, for one machine: development, small crawls, tests."""

    settings_class = EmbeddedSettings

    def __init__(self, settings: EmbeddedSettings) -> None:
        self._path = Path(settings.path).expanduser().absolute()
        if self._path.is_dir():
            raise ConfigurationError(
                f"QUEUE_PLATFORM_PATH={self._path} is a directory; it names the queue's file"
            )

    def producer(self) -> Producer:
        return EmbeddedProducer(self._path)

    def consumer(self, subscription: Subscription, listener: PartitionListener | None = None) -> Consumer:
        return EmbeddedConsumer(self._path, subscription, listener or PartitionListener())

    def read(self, topic: str) -> Iterator[Message]:
        with contextlib.closing(EmbeddedLog(self._path)) as log:
            offset, end = 0, log.end(topic)
            while offset < end:
                messages = log.read(topic, offset, _READ_AT_ONCE)
                if not messages:
                    raise QueueUnreachable(f"{self._path} was removed or replaced while it was read")
                yield from (message for message in messages if message.offset < end)
                offset = messages[-1].offset + 1

    def transactions(self, name: str) -> Transactions:
        return EmbeddedTransactions(self._path, name)

    def describe(self) -> str:
        return f"the file {self._path}"
