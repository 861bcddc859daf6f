"""What a producer of ours needs of a client, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from estela_queue_adapter.errors import ProducerClosed, QueueError
from estela_queue_adapter.interfaces import OnDeliveries, OnDelivery
from estela_queue_adapter.messages import Headers

Decided: TypeAlias = Callable[[QueueError | None], None]

METADATA_TIMEOUT_MS = 10_000  # for a topic to show up, before the queue is unavailable or the topic missing
BATCH_BYTES = 128 * 1024
LINGER_MS = 5


class Record(NamedTuple):
    """One message as a producer hands it over."""

    topic: str
    value: bytes
    key: bytes | None
    headers: Headers
    on_delivery: OnDelivery | None


class Burst:
    """Many messages that are handed over together."""

    __slots__ = ("decided", "messages", "taken")

    def __init__(self, messages: Sequence[Any], decided: OnDeliveries[Any]) -> None:
        self.messages = messages
        self.decided = decided
        """Called with messages that share an outcome, from any thread; for each that was taken once."""
        self.taken = 0
        """How many the client has, from the first on."""


class ProducerClient(ABC):
    """The client of one producer: connected at its first use, and replaced once it sends nothing more.

    Threads and signal handlers may share it.
    """

    @abstractmethod
    def connect(self) -> None:
        """Be connected. Blocks; raises our errors, ProducerClosed after `release`."""

    @abstractmethod
    def check(self, record: Record) -> Record:
        """The record as the client takes it. Raises SerializationError, MessageRejected."""

    @abstractmethod
    def send(self, record: Record, decided: Decided) -> None:
        """Hand one record over, connecting if need be; `decided` is called once, from any thread.

        Blocks while its buffer is full; raises our errors, and then `decided` is not called.
        """

    def send_burst(self, burst: Burst) -> None:  # noqa: B027  (none is the rule)
        """Hand over as many as can be had without waiting and without an error, from the first on.

        `send` is asked for the next one, and says what is with it.
        """

    @abstractmethod
    def flush(self, timeout: float | None) -> bool:
        """Have everything sent that is there; whether it is all decided. True if nothing was sent ever."""

    @abstractmethod
    def replace(self) -> None:
        """Have the next message sent by a new client, if this one sends nothing more after a rejection."""

    @abstractmethod
    def release(self) -> None:
        """Connect no more, nor take anything. Takes no lock that is held while connecting."""

    @abstractmethod
    def close(self, timeout: float) -> None:
        """Let go of what was released; what is not delivered is given up."""

    @abstractmethod
    def forked(self) -> None:
        """This is a copy in a forked process: the client is the parent's."""

    @abstractmethod
    def broker_addresses(self) -> set[str] | None:
        """Where its brokers are; None if it does not say."""


def closed_too_soon() -> ProducerClosed:
    """The error of a message that was given up."""
    return ProducerClosed("the producer was closed before the queue acknowledged the message")
