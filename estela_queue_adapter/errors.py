"""The errors of the adapter: what passes by itself, what does not, and what the user must fix."""

from __future__ import annotations


class QueueError(Exception):
    """Whatever goes wrong between this package and a queue."""


class ConfigurationError(QueueError):
    """A setting is wrong or missing; its message names the setting and the valid choices."""


class PackageNeeded(ConfigurationError):
    """A setting needs a package, or another version: `needs` tells which, `install` is the command for it."""

    def __init__(self, needs: str, install: str) -> None:
        super().__init__(f"{needs}: {install}")
        self.needs = needs
        self.install = install


class BadName(QueueError):
    """A jid, or the name of a database or collection, that nobody can have."""


class SerializationError(QueueError):
    """A value cannot become bytes, or bytes are not a value."""


class NestedTooDeeply(SerializationError):
    """It is JSON, as far as it can be followed: some hundred levels deep."""


class TransientError(QueueError):
    """It passes by itself: wait, then try again."""


class QueueUnreachable(TransientError):
    """No broker answers, or the queue's file cannot be opened."""


class TopicMissing(QueueError):
    """The topic does not exist (yet)."""


class CommitRefused(TransientError):
    """The partition has another reader by now; what was not committed is delivered again, to it."""


class PermanentError(QueueError):
    """The same call would fail again."""


class AccessDenied(PermanentError):
    """The queue knows us, or refuses to: a wrong login, or no permission on a topic or group."""


class TopicDenied(AccessDenied):
    """The login is right, and has no permission on this one topic."""


class GroupInUse(PermanentError):
    """A group has members: its positions are theirs."""


class MessageRejected(PermanentError):
    """The queue will never take this message: too large, or not allowed."""


class ProducerClosed(QueueError):
    """The producer was closed, or the interpreter is shutting down: it takes nothing more."""


class ConsumerClosed(QueueError):
    """The consumer was closed, the interpreter is shutting down, or another process opened it."""


class DeliveryError(QueueError):
    """Messages that were handed over are not acknowledged; `undelivered` says how many."""

    def __init__(self, undelivered: int, reason: str) -> None:
        super().__init__(f"{undelivered} message(s) not acknowledged by the queue: {reason}")
        self.undelivered = undelivered


def is_refusal(error: QueueError) -> bool:
    """Whether the queue will never take that message, or none for its topic; it may take others."""
    return (
        isinstance(error, (MessageRejected, SerializationError, TopicDenied, TopicMissing))
        or type(error) is PermanentError
    )
