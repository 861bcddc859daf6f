"""The contract between the queue and everybody else, stated once.

Times are float seconds. Nothing here is thread-safe unless it says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar

from estela_queue_adapter.access import TopicAccess
from estela_queue_adapter.errors import (
    PermanentError,
    QueueError,
    TopicDenied,
    TopicMissing,
    is_refusal,
)
from estela_queue_adapter.iteration import Iteration
from estela_queue_adapter.lifecycle import Closing
from estela_queue_adapter.members import GroupMember
from estela_queue_adapter.messages import Headers, Message, Outgoing, Position
from estela_queue_adapter.subscription import Subscription
from estela_queue_adapter.topic_reader import Peek, RereadingReader, TopicReader

if TYPE_CHECKING:
    from estela_queue_adapter.administration import Administration

OnDelivery: TypeAlias = Callable[[QueueError | None], None]


class Addressed(Protocol):
    """A message of `send_all`, whatever else its class knows of it."""

    @property
    def topic(self) -> str:
        """Where it goes."""

    @property
    def data(self) -> bytes:
        """What travels."""


A = TypeVar("A", bound=Addressed)
OnDeliveries: TypeAlias = Callable[[Sequence[A], QueueError | None], None]
"""Told of messages that share an outcome."""


class PartitionListener:
    """Learns which partitions this reader owns. Called only while `Consumer.poll` is running.

    The calls may come from a thread of the platform's; `poll` returns only after they have.
    """

    def partitions_assigned(self, partitions: Collection[int]) -> None:
        """These partitions are read from here on, from the group's committed positions."""

    def partitions_revoked(self, partitions: Collection[int]) -> None:
        """These are about to move; committing them is still possible inside this call, which may block."""

    def partitions_lost(self, partitions: Collection[int]) -> None:
        """These have moved already: another reader has them, a commit would be refused."""

    def messages_gone(self, partition: int, position: int, resumed: int) -> None:
        """The queue no longer has the message at `position`; reading goes on at `resumed`.

        If `resumed` is the larger, all between were removed before the group read them (retention). If
        it is the smaller, the partition was recreated or cut short, and how many are gone cannot be known.
        """


class Producer(Closing):
    """Publishes messages. `send` and `flush` may be called from several threads.

    Guaranteed: a message is either acknowledged by the queue (by every in-sync replica, if there
    are replicas) or its error is reported, to `on_delivery` if one was given and by the next
    `flush` or `close` otherwise. Messages of one thread to one partition keep their order.

    A producer that is still open when the interpreter ends is closed then, after all `atexit` handlers that
    were registered since this package was imported; what is not acknowledged within 10 s is an error in
    the log. In a forked process a producer starts empty: what was in flight is the parent's.
    """

    @abstractmethod
    def get_connection(self) -> bool:
        """Connect now; True if messages can be sent. Not needed before `send`. Blocks for some seconds.

        True as well, with a warning in the log, if the queue does not answer now: each `send` tries again and
        raises if that is in vain. Never False; raises what waiting does not change (AccessDenied, say, or an
        embedded queue's file that cannot be used), and ProducerClosed.
        """

    @abstractmethod
    def send(
        self,
        topic: str,
        data: Any,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        on_delivery: OnDelivery | None = None,
    ) -> None:
        """Hand one message over; returns before it is acknowledged.

        `data` is any JSON value, or bytes, which travel as they are. `on_delivery` is called once, with
        None or the error, from any thread; it must not block. Blocks only while the queue was never
        reached or the client's buffer is full. Raises SerializationError (also for a header's name that is
        no text), QueueUnreachable, AccessDenied, TopicMissing, MessageRejected, and ConfigurationError if
        no topic can have that name.
        After `close`, and while the interpreter shuts down, raises ProducerClosed at once.
        """

    def send_all(self, messages: Sequence[A], on_deliveries: OnDeliveries[A]) -> None:
        """Hand over many, in their order, each as `send` would without key and headers, for less.

        `on_deliveries` is told of each message once, with None or the error, from any thread; it must not
        block. Blocks as `send` does. What `send` would raise is told too: of one message alone if that is
        refused, of all for a topic that is missing or denied, and else of this one and all behind it, which
        are not tried.
        """
        closed: dict[str, QueueError] = {}

        def told(message: A, error: QueueError | None) -> None:
            if isinstance(error, (TopicMissing, TopicDenied)):
                closed[message.topic] = error
            on_deliveries((message,), error)

        for number, message in enumerate(messages):
            if (known := closed.get(message.topic)) is not None:
                on_deliveries((message,), known)
                continue
            try:
                self.send(message.topic, message.data, on_delivery=partial(told, message))
            except QueueError as error:
                if is_refusal(error):
                    told(message, error)
                else:
                    on_deliveries(messages[number:], error)
                    return

    @abstractmethod
    def flush(self, timeout: float | None = None) -> None:
        """Block until everything sent is acknowledged.

        Raises DeliveryError, naming how many messages are not, when `timeout` seconds pass or when
        sends without `on_delivery` failed since the last flush. After `close` there is nothing to do.
        """

    @abstractmethod
    def close(self, timeout: float = 30.0) -> None:
        """Flush for `timeout` seconds at most, then let go; raises as `flush` does.

        What is not acknowledged by then is given up: its `on_delivery` gets ProducerClosed. Calling it
        twice is fine. Any thread may call it, and a signal handler: what others are sending meanwhile is
        flushed too, or refused.
        """


class Consumer(Closing):
    """Reads one topic as a member of a consumer group, from the first message on.

    Guaranteed: each message is delivered until its position is committed, to one member of the
    group at a time. A position is committed only by `commit`, or by iterating.

    Every method but `close` raises QueueUnreachable or AccessDenied if it has to ask the queue, and
    ConsumerClosed after `close`, while the interpreter shuts down, and in a forked process.

    A platform's `poll` is `iteration.take`, then `fetch`; its other methods tell `iteration` what they do.
    """

    def get_connection(self) -> bool:
        """Connect now; whether that worked. Not needed before anything else."""
        return True

    @abstractmethod
    def poll(self, timeout: float, max_messages: int) -> Sequence[Message]:
        """The next messages, `max_messages` at most, ordered within each partition.

        Blocks up to `timeout` seconds when there are none, and returns an empty sequence then. Must be
        called every few seconds, paused or not, for the reader to stay in its group.
        """

    def fetch(self, timeout: float, max_messages: int) -> Sequence[Message]:
        """What `poll` does, but for what loops have fetched already; for `iteration`."""
        return self.poll(timeout, max_messages)

    @abstractmethod
    def commit(self, positions: Iterable[Position]) -> None:
        """Record durably that everything before these positions is done. Blocks until acknowledged.

        Raises CommitRefused when a partition has another reader by now. Loops call it from a thread of
        their own, also while `poll` runs.
        """

    def pause(self) -> None:
        """Deliver nothing until `resume`, nor to loops; membership goes on as long as `poll` is called."""
        self.iteration.paused = True

    def resume(self) -> None:
        """Deliver again, from where `pause` stopped."""
        self.iteration.paused = False

    @abstractmethod
    def positions(self) -> Sequence[Position]:
        """Where the group stands in every partition of the topic.

        For a partition of this reader that is the next message it will get, else what the group has
        committed. Raises TopicMissing.
        """

    @abstractmethod
    def end_positions(self) -> Sequence[Position]:
        """The position after the last message that may be read, for every partition of the topic.

        Raises TopicMissing.
        """

    def log_end_positions(self) -> Sequence[Position]:
        """Like `end_positions`, but after what nobody may read yet too: messages of open transactions.

        The same on a queue that never holds anything back. Raises TopicMissing.
        """
        return self.end_positions()

    def lag(self) -> int:
        """How many messages of the topic the group has not been given yet."""
        ends = {position.partition: position.offset for position in self.end_positions()}
        return sum(max(0, ends[at.partition] - at.offset) for at in self.positions())

    @property
    @abstractmethod
    def subscription(self) -> Subscription:
        """What this consumer reads."""

    @cached_property
    def iteration(self) -> Iteration:
        """The loops over this consumer: what they have fetched, and what of it is done."""
        return Iteration(self.subscription)

    def __iter__(self) -> Iterator[Message]:
        """Messages for ever, or until none came for `idle_timeout` seconds.

        A message is done when its loop asks for the next one: its body has run to the end. A loop may be left
        at any time: the message it was left at, and what was fetched behind it, is handed out by the next
        loop or `poll`, or, once this consumer is closed, to the next reader of the group. So an iterator
        that is dropped gives back the message it gave last: keep one for `next` and `itertools.islice`, or
        commit that message.

        What is done is committed within a second, by a thread that calls `commit`, while this one waits or
        works; and by `close`. A commit covers all before it, what `poll` has handed out too. A loop ends if
        the consumer is closed meanwhile, by its body, another thread or a signal handler. Raises what `poll`
        and `commit` raise, but for errors of a commit that pass: it is tried again. Several loops
        at once share the messages.
        """
        return self.iteration.loop(self.fetch, self.commit)


class Transactions(Closing):
    """Publishes groups of messages, each wholly or not at all, even when the process is killed meanwhile."""

    @abstractmethod
    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Publish all of them or none. Blocks until that is decided.

        Raises ConfigurationError if no topic can have such a name, MessageRejected when the queue refuses one
        of them or one is a tombstone without a key, and any other QueueError when it is unavailable or when
        another has opened transactions under the same name; then none is published. A platform calls
        `Outgoing.check` on each of them first.
        """


class Platform(ABC):
    """A kind of queue. Third parties register theirs as entry points of `estela.queue_platforms`."""

    settings_class: ClassVar[type[Any]]
    """A dataclass; field `<x>` is the argument `<x>` and the variable `QUEUE_PLATFORM_<X>`."""

    @abstractmethod
    def __init__(self, settings: Any) -> None:
        """Check the settings; connects to nothing. Raises ConfigurationError."""

    @abstractmethod
    def producer(self) -> Producer:
        """A producer of its own connection."""

    @abstractmethod
    def consumer(self, subscription: Subscription, listener: PartitionListener | None = None) -> Consumer:
        """A consumer of its own connection, a member of the subscription's group once it polls.

        Raises ConfigurationError if no topic can have that name.
        """

    def shared_by(self, readers: int) -> Platform:
        """The same queue for so many consumers of one process that read at the same time.

        What they have fetched and not handed out, all together, is no more than one alone may have. The
        platform itself if its consumers fetch nothing ahead.
        """
        return self

    @abstractmethod
    def read(self, topic: str) -> Iterator[Message]:
        """What is in `topic` now, from its first message to what was its end at the first step.

        Outside every group: nothing is committed. In order within a partition, one partition after the
        other. Blocks; raises TopicMissing, QueueUnreachable, AccessDenied, and ConfigurationError if no topic
        can have that name.
        """

    def reader(self, topic: str, since: float = 0.0) -> TopicReader:
        """What reads `topic` outside every group, on from where it stopped; it connects when it reads.

        With `since`, seconds since the epoch, it begins in each partition with the first message of that time
        or later. Raises ConfigurationError if no topic can have that name.
        """
        return RereadingReader(self.read, topic, since)

    def members(self, subscription: Subscription) -> list[GroupMember] | None:
        """Who reads the topic for the group now, without becoming one of them; None if it is not known.

        Blocks for some seconds at most; raises QueueUnreachable and AccessDenied.
        """
        return None

    def peek(self, topic: str) -> Peek:
        """What looks at single messages of the topic. Raises ConfigurationError if no topic can be that."""
        return Peek()

    def transactions(self, name: str) -> Transactions:
        """Transactions under `name`: whoever opened some under that name before can publish no more.

        What a process of that name left undecided is undone first. Blocks; raises QueueError, which is a
        PermanentError if the platform has no transactions.
        """
        raise PermanentError(f"{self.describe()} has no transactions")

    def administration(self) -> Administration:
        """The queue as its operator sees it, on a connection of its own; connects at the first question.

        Raises PermanentError if the platform has none.
        """
        raise PermanentError(f"{self.describe()} does not tell of its topics and groups")

    @abstractmethod
    def describe(self) -> str:
        """Where the queue is, for people, without secrets."""

    def check(self) -> None:  # noqa: B027  (nothing to find out is the rule)
        """Raise ConfigurationError if the queue can never be used, as far as this machine alone can tell.

        Cheap: it asks no server, and creates nothing. A queue that is unavailable now is no error.
        """

    def examine(self, topics: Collection[str]) -> list[TopicAccess]:
        """How these topics are seen from here, in their order. Writes and creates nothing.

        Blocks for some seconds at most; raises QueueUnreachable, AccessDenied, and ConfigurationError if no
        topic can have such a name.
        """
        found = []
        for topic in topics:
            with self.consumer(Subscription(topic=topic)) as consumer:
                try:
                    partitions = len(consumer.end_positions())
                except TopicMissing:
                    partitions = 0
            found.append(TopicAccess(topic, partitions))
        return found

    @property
    def client_library(self) -> str:
        """What carries its messages, with the version, for people; empty if that is this package itself."""
        return ""

    @property
    def assignment(self) -> str:
        """How the readers of a group share its partitions, in the platform's word; empty if it has none."""
        return ""

    @property
    def max_message_bytes(self) -> int | None:
        """Bytes of the largest message that the queue takes, headers included; None: it has no bound."""
        return None
