"""What is remembered of a cluster's addresses, and what is said of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import AccessDenied, QueueUnreachable
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers, address
from estela_queue_adapter.platforms.kafka.connections.failures import Failure, failure
from estela_queue_adapter.platforms.kafka.errors import translate
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def brokers(listeners: str = "a:1,b:2", clock: Clock | None = None) -> Brokers:
    return Brokers(KafkaSettings(listeners=listeners), clock or Clock())


def test_the_addresses_that_fail_are_named_with_their_reasons_until_they_answer() -> None:
    known = brokers()
    known.failed("a:1", Failure("it is on fire"))
    known.failed("b:2", Failure("it sleeps"))

    error = known.outage()
    assert str(error) == "Kafka at a:1,b:2: a:1: it is on fire. b:2: it sleeps"
    assert isinstance(error, QueueUnreachable)

    known.answered("a:1")
    assert str(known.outage()) == "Kafka at a:1,b:2: b:2: it sleeps"
    known.answered("b:2")
    assert known.outage() is None


def test_an_address_that_nobody_needs_is_no_outage() -> None:
    known = brokers()
    known.failed("a:1", Failure("it is on fire"))

    assert known.outage({"b:2"}) is None
    assert known.outage({"a:1", "b:2"}) is not None


def test_an_address_that_is_not_tried_any_more_is_forgotten() -> None:
    clock = Clock()
    known = brokers(clock=clock)
    known.failed("a:1", Failure("it was taken out of the cluster"))

    clock.now = 89.0
    assert known.outage() is not None
    clock.now = 91.0
    assert known.outage() is None


def test_many_addresses_are_not_all_named() -> None:
    known = brokers(",".join(f"host{number}" for number in range(50)))
    for number in range(50):
        known.failed(f"host{number}:9092", Failure("it sleeps"))

    assert str(known.outage()).endswith("host2:9092: it sleeps. And 47 more")


def test_a_refused_login_is_access_denied_whatever_else_fails() -> None:
    known = brokers()
    known.failed("a:1", Failure("it sleeps"))
    known.failed("b:2", Failure("the login is refused", denied=True))

    assert isinstance(known.outage(), AccessDenied)


def test_an_address_is_written_as_the_settings_have_it() -> None:
    assert (address("host", 1), address("::1", 2)) == ("host:1", "[::1]:2")


ERRORS = st.sampled_from(
    [
        kafka_errors.KafkaConnectionError,
        kafka_errors.KafkaProtocolError,
        kafka_errors.SaslAuthenticationFailedError,
        kafka_errors.RequestTimedOutError,
        ConnectionResetError,
        RuntimeError,
        ValueError,
    ]
)


@given(kind=ERRORS, text=st.text(max_size=50), received=st.binary(max_size=16))
def test_whatever_answers_and_whatever_it_says_is_a_reason(
    kind: type[Exception], text: str, received: bytes
) -> None:
    found = failure(kind(text), received)

    assert found.reason
    assert found.denied == (kind is kafka_errors.SaslAuthenticationFailedError)


def test_an_error_that_causes_itself_has_a_reason_too() -> None:
    error = RuntimeError("round and round")
    error.__context__ = ValueError("again")
    error.__context__.__context__ = error

    assert failure(error, b"").reason == "round and round"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (kafka_errors.KafkaTimeoutError("Failed to get offsets"), "does not answer in time (Failed to get"),
        (kafka_errors.RequestTimedOutError(), "error 7, request timed out"),
        (kafka_errors.NotLeaderForPartitionError("p 3"), "error 6, not leader for partition (p 3)"),
        (kafka_errors.NodeNotReadyError(), "node not ready"),
        (kafka_errors.KafkaConnectionError("it is gone"), "it is gone"),
    ],
)
def test_an_error_of_the_client_is_told_in_words(error: Exception, told: str) -> None:
    text = str(translate(error, brokers()))

    assert told in text
    assert type(error).__name__ not in text
