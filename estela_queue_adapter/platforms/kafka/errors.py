"""kafka-python's exceptions, turned into ours at the edge."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from kafka import errors as kafka_errors

from estela_queue_adapter.errors import (
    AccessDenied,
    CommitRefused,
    ConfigurationError,
    MessageRejected,
    PermanentError,
    QueueError,
    QueueUnreachable,
    TopicDenied,
    TopicMissing,
)
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.failures import LOGINS, failure

_REFUSED_COMMITS = (
    kafka_errors.CommitFailedError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)
_REJECTIONS = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.InvalidRecordError,
    kafka_errors.InvalidTopicError,
)
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")  # the seams of a class's name
_PERMISSIONS = {
    kafka_errors.TopicAuthorizationFailedError: "no permission for the topic",
    kafka_errors.GroupAuthorizationFailedError: "no permission for the consumer group",
    kafka_errors.ClusterAuthorizationFailedError: "no permission on the cluster (IdempotentWrite)",
    kafka_errors.TransactionalIdAuthorizationFailedError: "no permission for the transactional id",
}


# What a broker answers for a reason of its own, or until a group has room: a reader waits for it to pass.
_PASSING = (
    kafka_errors.UnknownError,
    kafka_errors.BrokerNotAvailableError,
    kafka_errors.StaleBrokerEpochError,
    kafka_errors.GroupMaxSizeReachedError,
)


def translate(error: BaseException, brokers: Brokers, *, reading: bool = False) -> QueueError:
    """Our error for what kafka-python raised, by what is known of the brokers.

    A writer may have sent the message that the error is about, a reader has sent none: see `_PASSING`.
    """
    message = str(error)
    text = f"Kafka at {brokers}: {in_words(error)}"
    if isinstance(error, _REFUSED_COMMITS):
        return CommitRefused(text)
    if isinstance(error, tuple(_PERMISSIONS)):
        text = f"Kafka at {brokers}: {_PERMISSIONS[type(error)]} ({message})"
        return (
            TopicDenied if isinstance(error, kafka_errors.TopicAuthorizationFailedError) else AccessDenied
        )(text)
    if isinstance(error, LOGINS):
        return AccessDenied(f"Kafka at {brokers}: {failure(error, b'').reason}")
    if isinstance(error, kafka_errors.InvalidSessionTimeoutError):
        return ConfigurationError(
            f"Kafka at {brokers} refuses every session timeout that was tried; set "
            "QUEUE_PLATFORM_SESSION_TIMEOUT to seconds between the brokers' group.min.session.timeout.ms and "
            "group.max.session.timeout.ms"
        )
    if isinstance(error, _REJECTIONS):
        return MessageRejected(text)
    if isinstance(error, kafka_errors.KafkaConfigurationError):
        return ConfigurationError(text)
    if isinstance(error, kafka_errors.UnknownTopicOrPartitionError):
        return TopicMissing(text)
    if isinstance(error, (kafka_errors.RetriableError, OSError)) or (reading and isinstance(error, _PASSING)):
        return brokers.outage() or QueueUnreachable(text)
    return PermanentError(text)


def in_words(error: BaseException) -> str:
    """What kafka-python's exception says, without the name of its class."""
    name = type(error).__name__
    said = re.sub(rf"^(\[Error -?\d+\] )?{name}(: |$)", "", str(error)).strip()
    if isinstance(error, kafka_errors.KafkaTimeoutError):
        meaning = "it does not answer in time"
    elif isinstance(error, kafka_errors.BrokerResponseError):
        words = _WORDS.sub(" ", name.removesuffix("Error")).lower()
        meaning = f"it answers with the error {error.errno}, {words}"
    else:
        meaning = "" if said else _WORDS.sub(" ", name.removesuffix("Error")).lower()
    return f"{meaning} ({said})" if meaning and said else meaning or said


@contextlib.contextmanager
def translated(brokers: Brokers, *, reading: bool = False) -> Iterator[None]:
    """Raise our errors for the client's own."""
    try:
        yield
    except (kafka_errors.KafkaError, OSError) as error:
        raise translate(error, brokers, reading=reading) from error
