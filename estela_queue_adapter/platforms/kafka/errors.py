"""kafka-python's exceptions, turned into ours at the edge."""

from __future__ import annotations

import contextlib
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
LOGINS = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)


def translate(error: BaseException, where: str) -> QueueError:
    """Our word for what kafka-python raised; `where` says which cluster."""
    name, told = type(error).__name__, str(error)
    text = f"Kafka at {where}: {told if told.startswith(name) else f'{name}: {told}'}"
    if isinstance(error, _REFUSED_COMMITS):
        return CommitRefused(text)
    if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
        return TopicDenied(text)
    if isinstance(error, LOGINS):
        return AccessDenied(text)
    if isinstance(error, _REJECTIONS):
        return MessageRejected(text)
    if isinstance(error, kafka_errors.KafkaConfigurationError):
        return ConfigurationError(text)
    if isinstance(error, kafka_errors.UnknownTopicOrPartitionError):
        return TopicMissing(text)
    if isinstance(error, (kafka_errors.RetriableError, OSError)):
        return QueueUnreachable(text)
    return PermanentError(text)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise our errors where the client raises its own."""
    try:
        yield
    except (kafka_errors.KafkaError, OSError) as error:
        raise translate(error, where) from error
