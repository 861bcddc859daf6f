"""librdkafka's errors, turned into ours at the edge, in the words that kafka-python's have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from confluent_kafka import KafkaError, KafkaException
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import QueueError, QueueUnreachable
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.errors import translate as translate_kafka_python

# librdkafka's own errors have codes below -1; all others are the brokers', which have one table for both.
_OWN = {
    KafkaError._TRANSPORT: kafka_errors.KafkaConnectionError,
    KafkaError._RESOLVE: kafka_errors.KafkaConnectionError,
    KafkaError._SSL: kafka_errors.KafkaConnectionError,
    KafkaError._ALL_BROKERS_DOWN: kafka_errors.KafkaConnectionError,
    KafkaError._WAIT_COORD: kafka_errors.KafkaConnectionError,
    KafkaError._TIMED_OUT: kafka_errors.KafkaTimeoutError,
    KafkaError._MSG_TIMED_OUT: kafka_errors.KafkaTimeoutError,
    KafkaError._TIMED_OUT_QUEUE: kafka_errors.KafkaTimeoutError,
    KafkaError._AUTHENTICATION: kafka_errors.SaslAuthenticationFailedError,
    KafkaError._UNKNOWN_TOPIC: kafka_errors.UnknownTopicOrPartitionError,
    KafkaError._UNKNOWN_PARTITION: kafka_errors.UnknownTopicOrPartitionError,
    KafkaError._ASSIGNMENT_LOST: kafka_errors.CommitFailedError,
    KafkaError._FENCED: kafka_errors.ProducerFencedError,
}
_FIRST_OF_BROKERS = -1


def translate(error: KafkaError, brokers: Brokers, *, reading: bool = False, about: str = "") -> QueueError:
    """Our error for librdkafka's; `about` names whose permission it is, if that is what lacks."""
    return translate_kafka_python(as_kafka_python(error, about), brokers, reading=reading)


def as_kafka_python(error: KafkaError, about: str = "") -> kafka_errors.KafkaError:
    """The exception that kafka-python has for the same."""
    code = error.code()
    if code >= _FIRST_OF_BROKERS:
        return kafka_errors.for_code(code)(about)  # librdkafka's text says no more than the code
    kind = _OWN.get(code, kafka_errors.KafkaError)
    return kind(error.str())


@contextlib.contextmanager
def translated(
    brokers: Brokers,
    *,
    reading: bool = False,
    about: str = "",
    outage: Callable[[], QueueError | None] | None = None,
) -> Iterator[None]:
    """Raise our errors for librdkafka's; `outage` finds out why nobody answers."""
    try:
        yield
    except KafkaException as raised:
        error = translate(raised.args[0], brokers, reading=reading, about=about)
        if isinstance(error, QueueUnreachable) and outage is not None:
            error = outage() or error
        raise error from raised
