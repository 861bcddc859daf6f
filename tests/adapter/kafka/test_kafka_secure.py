"""TLS, a login and permissions, against a broker that insists on all three."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka.admin import ACLOperation, ResourceType

from devservers.ports import wait_until
from devservers.secure_kafka import MECHANISMS, OWNER, SecureKafka
from estela_queue_adapter import Message, Platform, Subscription, open_platform
from estela_queue_adapter.errors import AccessDenied, QueueError, QueueUnreachable, TopicDenied
from tests.adapter.contract import take

pytestmark = pytest.mark.servers

GUEST = "guest"
CLIENTS = ("kafka-python", "librdkafka")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    kafka = SecureKafka(tmp_path_factory.mktemp("secure-kafka"), [GUEST])
    try:
        kafka.start()
        for kind in (ResourceType.TOPIC, ResourceType.GROUP):
            kafka.allow(GUEST, ACLOperation.ALL, kind, "open-", prefix=True)
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def secure(broker: SecureKafka, client: str) -> dict[str, Any]:
    """The settings of the owner."""
    return {**broker.settings(OWNER), "client": client}


@pytest.fixture
def guest(broker: SecureKafka, client: str) -> Platform:
    """The platform of one who may use what begins with "open-"."""
    return open_platform(**broker.settings(GUEST), client=client)


def test_messages_come_as_they_were_sent_over_tls(secure: dict[str, Any], unique: str) -> None:
    platform = open_platform(**secure)
    sent = [b'"%d %b"' % (number, b"x" * 5_000) for number in range(2_000)]
    with platform.producer() as producer:
        for data in sent:
            producer.send(unique, data, key=b"one partition")
        producer.flush(60)

    with platform.consumer(Subscription(topic=unique)) as consumer:
        read = take(consumer, len(sent))

    assert [message.data for message in read] == sent
    assert [message.data for message in platform.read(unique)] == sent


def test_a_wrong_password_is_said_so_without_telling_it(secure: dict[str, Any], unique: str) -> None:
    with pytest.raises(AccessDenied) as told:
        open_platform(**{**secure, "sasl_password": "Mellon-7"}).producer().send(unique, 1)

    assert "Mellon-7" not in f"{told.value!r} {told.value}"


def test_a_broker_that_nobody_vouches_for_is_not_talked_to(secure: dict[str, Any], unique: str) -> None:
    with pytest.raises(QueueUnreachable):
        open_platform(**{**secure, "ssl_cafile": ""}).producer().send(unique, 1)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_by_each_mechanism_messages_come_and_both_clients_refuse_in_the_same_words(
    broker: SecureKafka, mechanism: str, unique: str
) -> None:
    ours, told = f"open-{unique}", {}
    for client in CLIENTS:
        owner, guest = (
            open_platform(**broker.settings(user, mechanism), client=client) for user in (OWNER, GUEST)
        )
        with owner.producer() as producer:
            producer.send(unique, client)
        with guest.producer() as producer:
            producer.send(ours, client)
        stranger = open_platform(
            **{**broker.settings(OWNER, mechanism), "sasl_password": "Mellon-7"}, client=client
        )
        told[client] = [*refusals(stranger, ours, "open-group"), *refusals(guest, unique, "open-group")]
        with guest.consumer(Subscription(topic=ours, group="theirs")) as consumer:
            told[client].append(refusal(AccessDenied, lambda: consumer.poll(5, 1)))
        with guest.consumer(Subscription(topic=ours, group=f"open-{client}")) as consumer:
            read = take(consumer, len(told))
            consumer.commit([read[-1].next])
        assert {message.value for message in read} == told.keys()

    assert told["librdkafka"] == told["kafka-python"]
    assert "Mellon-7" not in f"{told}"


def refusals(platform: Platform, topic: str, group: str) -> list[str]:
    """What is said to one who may neither write nor read the topic."""
    subscription = Subscription(topic=topic, group=group)
    with platform.producer() as producer, platform.consumer(subscription) as consumer:

        def send() -> None:
            errors: list[QueueError | None] = []
            producer.send(topic, 1, on_delivery=errors.append)
            producer.flush(30)
            raise errors[0] or AssertionError("it was delivered")

        ways = [
            send,
            lambda: take(consumer, 1),
            consumer.end_positions,
            consumer.lag,
            lambda: next(platform.read(topic)),
        ]
        return [refusal(AccessDenied, way) for way in ways]


def refusal(kind: type[QueueError], work: Callable[[], Any]) -> str:
    """What is said where this is refused."""
    with pytest.raises(kind) as told:
        work()
    return f"{type(told.value).__name__}: {told.value}"


def test_a_topic_without_permission_is_denied_and_the_others_go_on(
    secure: dict[str, Any], guest: Platform, unique: str
) -> None:
    ours = f"open-{unique}"
    with open_platform(**secure).producer() as producer:
        producer.send(unique, "not theirs")
    delivered: list[BaseException | None] = []

    with guest.producer() as producer:
        for topic in (ours, unique, ours):
            producer.send(topic, topic, on_delivery=delivered.append)
        producer.flush(30)
    with guest.consumer(Subscription(topic=ours, group="open-group")) as consumer:
        read = take(consumer, 2)

    assert [type(error) for error in delivered if error] == [TopicDenied]
    assert [message.value for message in read] == [ours, ours]


def test_a_reader_says_that_it_has_no_permission_and_goes_on_when_it_is_given_one(
    broker: SecureKafka, secure: dict[str, Any], guest: Platform, unique: str
) -> None:
    with open_platform(**secure).producer() as producer:
        producer.send(unique, "theirs now")
    read: list[Message] = []

    with guest.consumer(Subscription(topic=unique, group="open-group")) as consumer:
        with pytest.raises(TopicDenied, match=unique):
            take(consumer, 1)
        broker.allow(GUEST, ACLOperation.READ, ResourceType.TOPIC, unique)

        def has_come() -> bool:
            with contextlib.suppress(TopicDenied):
                read.extend(consumer.poll(0.5, 1))
            return bool(read)

        wait_until(has_come, "the message")

    assert read[0].value == "theirs now"


def test_reading_a_topic_without_permission_is_not_taken_for_its_absence(
    secure: dict[str, Any], guest: Platform, unique: str
) -> None:
    with open_platform(**secure).producer() as producer:
        producer.send(unique, "not theirs")

    with pytest.raises(TopicDenied, match=unique):
        next(guest.read(unique))
    with guest.consumer(Subscription(topic=unique, group="open-group")) as consumer:
        with pytest.raises(TopicDenied, match=unique):
            consumer.end_positions()
        with pytest.raises(TopicDenied, match=unique):
            consumer.lag()
    stranger = guest.consumer(Subscription(topic=f"open-{unique}", group="theirs"))
    with stranger, pytest.raises(AccessDenied, match="theirs"):
        stranger.poll(5, 1)
