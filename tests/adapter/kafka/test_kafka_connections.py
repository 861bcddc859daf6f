"""Reaching Kafka: an outage is told as what it is, with the address that failed; logins that work."""

from __future__ import annotations

import contextlib
import logging
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devservers.kafka import create_topic
from devservers.many_listeners import NOWHERE, PASSWORD, USER, ManyListeners
from devservers.ports import wait_until
from devservers.token_endpoint import CLIENT, SECRET, TokenEndpoint, unsecured_token
from estela_queue_adapter import Platform, Subscription, open_platform
from estela_queue_adapter.errors import AccessDenied, QueueError, QueueUnreachable
from estela_queue_adapter.platforms.kafka import queries
from estela_queue_adapter.platforms.kafka.connections import clients
from estela_queue_adapter.platforms.kafka.librdkafka import options
from estela_queue_adapter.platforms.kafka.settings import KAFKA_PYTHON, LIBRDKAFKA
from tests.adapter.contract import take

pytestmark = pytest.mark.servers


class _Stranger(socketserver.ThreadingTCPServer):
    """A server that is no broker: it greets, or says nothing at all, and hangs up if `answer` is given."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, greeting: bytes = b"", answer: bytes = b"") -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.sendall(greeting)
                while self.request.recv(65536):
                    if answer:
                        self.request.sendall(answer)
                        return

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyListeners]:
    # Sessions as an operator may want them, none of 10 s, and groups of one reader.
    limits = {"group.min.session.timeout.ms": "20000", "group.max.size": "1"}
    kafka = ManyListeners(tmp_path_factory.mktemp("many"), limits)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(scope="module")
def strangers() -> Iterator[dict[str, str]]:
    with (
        _Stranger() as silent,
        _Stranger(answer=b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") as http,
        _Stranger(b"SSH-2.0-OpenSSH_9.2p1\r\n") as ssh,
    ):
        yield {"silent": silent.at, "http": http.at, "ssh": ssh.at}
        for server in (silent, http, ssh):
            server.shutdown()


def with_tls(authority: Path | str = "") -> dict[str, str]:
    return {"security_protocol": "SSL", "ssl_cafile": str(authority)}


LOGIN = {
    "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_username": USER,
    "sasl_password": PASSWORD,
}  # fmt: skip

CASES: dict[str, tuple[Callable[[ManyListeners, dict[str, str]], tuple[str, dict[str, str]]], str]] = {
    "nothing listens": (lambda kafka, _: (NOWHERE, {}), "refuses the connection"),
    "nothing listens, over TLS": (lambda kafka, _: (NOWHERE, with_tls()), "refuses the connection"),
    "no such name": (lambda kafka, _: ("no-such-host.invalid", {}), "name cannot be resolved"),
    "silence": (lambda _, strangers: (strangers["silent"], {}), "does not answer"),
    "silence, over TLS": (lambda _, strangers: (strangers["silent"], with_tls()), "does not answer"),
    "HTTP": (lambda _, strangers: (strangers["http"], {}), "is an HTTP server"),
    "HTTP, over TLS": (lambda _, strangers: (strangers["http"], with_tls()), "does not speak TLS"),
    "SSH": (lambda _, strangers: (strangers["ssh"], {}), "does not speak Kafka"),
    "SSH, over TLS": (lambda _, strangers: (strangers["ssh"], with_tls()), "does not speak TLS"),
    "TLS, and we do not": (lambda kafka, _: (kafka.at("TLS"), {}), "speaks TLS; set"),
    "no TLS, and we do": (lambda kafka, _: (kafka.plaintext, with_tls()), "without TLS"),
    "a login, and we have none": (lambda kafka, _: (kafka.at("LOGIN"), {}), "TLS or a login"),
    "TLS and a login, and we have no login": (
        lambda kafka, _: (kafka.at("LOGINTLS"), with_tls(kafka.authority)), "TLS or a login",
    ),
    "a login without TLS where TLS is": (lambda kafka, _: (kafka.at("LOGINTLS"), LOGIN), "speaks TLS"),
    "a login where none is expected": (lambda kafka, _: (kafka.plaintext, LOGIN), "expects no login"),
    "wrong password": (
        lambda kafka, _: (kafka.at("LOGIN"), {**LOGIN, "sasl_password": "Mellon-7"}), "login is refused",
    ),
    "wrong mechanism": (
        lambda kafka, _: (kafka.at("LOGIN"), {**LOGIN, "sasl_mechanism": "SCRAM-SHA-256"}), "SASL_MECHANISM",
    ),
    "nobody vouches for it": (
        lambda kafka, _: (kafka.at("TLS"), with_tls()), "certificate is not trusted .*SSL_CAFILE",
    ),
    "its certificate has expired": (
        lambda kafka, _: (kafka.at("EXPIRED"), with_tls(kafka.expired_authority)), "certificate has expired",
    ),
    "its certificate is another's": (
        lambda kafka, _: (kafka.at("MISNAMED"), with_tls(kafka.misnamed_authority)),
        "certificate is for another host",
    ),
    "it wants a certificate": (
        lambda kafka, _: (kafka.at("MUTUAL"), with_tls(kafka.authority)), "SSL_CERTFILE",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=[KAFKA_PYTHON, LIBRDKAFKA])
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def told(
    broker: ManyListeners, strangers: dict[str, str], client: str
) -> dict[str, tuple[str, BaseException]]:
    """The address of each case, and what a producer says; all at once, as each waits for some seconds."""

    def send(case: str) -> tuple[str, BaseException]:
        at, settings = CASES[case][0](broker, strangers)
        for _ in range(5):
            producer = opened(client, at, **settings).producer()
            with pytest.raises(QueueError) as error:
                producer.send("topic", 1)
            if "silence" in case or "does not answer" not in str(error.value):
                break  # else the machine is so busy that this is true of a broker as well
        return at, error.value

    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(send, CASES), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_an_outage_is_told_as_what_it_is(told: dict[str, tuple[str, BaseException]], case: str) -> None:
    at, error = told[case]

    assert isinstance(error, (AccessDenied, QueueUnreachable))
    with pytest.raises(type(error), match=CASES[case][1]):
        raise error
    assert at in str(error)
    assert "Mellon-7" not in f"{error} {error!r}"
    assert "KafkaError" not in str(error)


def opened(client: str, *listeners: str, **settings: Any) -> Platform:
    return open_platform("kafka", environ={}, listeners=",".join(listeners), client=client, **settings)


def test_a_broker_that_is_advertised_at_a_wrong_address_is_named_as_long_as_that_lasts(
    client: str, broker: ManyListeners, unique: str
) -> None:
    platform = opened(client, broker.at("LOST"))
    with platform.consumer(Subscription(topic=unique)) as consumer:
        for _ in range(10):
            with pytest.raises(QueueUnreachable, match=rf"{NOWHERE} \(advertised\.listeners\)"):
                consumer.poll(0.2, 10)
        with pytest.raises(QueueUnreachable, match=NOWHERE):
            consumer.lag()
    with pytest.raises(QueueUnreachable, match=NOWHERE):
        next(platform.read(unique))


def test_a_listener_that_hangs_keeps_nobody_from_the_one_that_is_well(
    client: str, broker: ManyListeners, strangers: dict[str, str], unique: str
) -> None:
    create_topic(broker.plaintext, unique, 1)
    for _ in range(4):  # they are asked in any order
        platform = opened(client, strangers["silent"], NOWHERE, broker.plaintext)
        with platform.consumer(Subscription(topic=unique)) as consumer:
            assert consumer.get_connection()
            assert [position.offset for position in consumer.end_positions()] == [0]
        assert list(platform.read(unique)) == []


def test_a_group_whose_brokers_want_longer_sessions_is_joined_with_one(
    client: str, broker: ManyListeners, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    platform = opened(client, broker.plaintext)
    with platform.producer() as producer:
        producer.send(unique, "hello")
        producer.flush()

    with platform.consumer(Subscription(topic=unique)) as consumer:
        assert [message.value for message in take(consumer, 1)] == ["hello"]

    assert [record.message for record in caplog.records if "SESSION_TIMEOUT" in record.message]


def test_a_group_that_is_full_is_an_outage_and_not_the_end(
    client: str, broker: ManyListeners, unique: str
) -> None:
    """Given as many readers as the brokers allow, one more has to wait until one of them leaves."""
    platform, subscription = opened(client, broker.plaintext), Subscription(topic=unique)
    create_topic(broker.plaintext, unique, 1)
    with platform.consumer(subscription) as first, platform.consumer(subscription) as second:
        first.poll(2.0, 1)

        def poll_both() -> None:
            for _ in range(10):
                second.poll(1.0, 1)
                first.poll(0.1, 1)

        with pytest.raises(QueueUnreachable, match="group max size reached"):
            poll_both()


def test_partitions_that_are_added_are_read_soon(
    client: str, broker: ManyListeners, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kafka import KafkaAdminClient, KafkaProducer
    from kafka.admin import NewPartitions

    assert (
        max(clients._METADATA_AGE_MS, options._METADATA_AGE_MS) <= 20_000
    )  # and then the group has to be joined again: within 30 s
    for module in (clients, options):
        monkeypatch.setattr(module, "_METADATA_AGE_MS", 2_000)
    create_topic(broker.plaintext, unique, 1)
    read: list[Any] = []

    with opened(client, broker.plaintext).consumer(Subscription(topic=unique)) as consumer:
        consumer.poll(1.0, 10)
        admin = KafkaAdminClient(bootstrap_servers=broker.plaintext)
        admin.create_partitions({unique: NewPartitions(2)})
        admin.close()
        producer = KafkaProducer(bootstrap_servers=broker.plaintext)
        wait_until(lambda: len(producer.partitions_for(unique) or ()) == 2, "the second partition")
        producer.send(unique, b"1", partition=1).get(10)
        producer.close()

        def has_come() -> bool:
            read.extend(consumer.poll(0.5, 10))
            return bool(read)

        wait_until(has_come, "the message", 30)

    assert [(message.partition, message.value) for message in read] == [(1, 1)]


def test_a_broker_that_has_stopped_answering_is_back_when_it_answers_and_not_before(
    client: str, broker: ManyListeners, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "ANSWER_TIMEOUT_MS", 2_000)
    create_topic(broker.plaintext, unique, 1)
    with opened(client, broker.plaintext).consumer(Subscription(topic=unique)) as consumer:
        assert consumer.lag() == 0
        broker.freeze()
        try:
            with pytest.raises(QueueUnreachable):
                consumer.lag()
            with pytest.raises(QueueUnreachable):
                consumer.poll(0.2, 10)
        finally:
            broker.thaw()

        def is_back() -> bool:
            with contextlib.suppress(QueueUnreachable):
                return list(consumer.poll(0.2, 10)) == []
            return False

        wait_until(is_back, "the broker")


def round_trip(client: str, broker: ManyListeners, listener: str, topic: str, **login: str) -> list[Any]:
    """Send a message by this listener and read it there."""
    platform = opened(client, broker.at(listener), **login)
    with platform.producer() as producer:
        producer.send(topic, listener)
        producer.flush(20)
    with platform.consumer(Subscription(topic=topic)) as consumer:
        return [message.value for message in take(consumer, 1)]


class Tokens:
    """A token provider, as a user writes one."""

    def token(self) -> str:
        return unsecured_token("a user")


def test_a_certificate_with_an_encrypted_key_opens_a_listener_that_wants_one(
    client: str, broker: ManyListeners, unique: str
) -> None:
    ours = {"ssl_certfile": str(broker.client_certificate), "ssl_keyfile": str(broker.client_key)}

    assert round_trip(
        client, broker, "MUTUAL", unique, **with_tls(broker.authority), **ours, ssl_password=PASSWORD
    ) == ["MUTUAL"]


def test_a_password_is_in_no_log_however_much_is_logged(
    client: str, broker: ManyListeners, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "kafka"):
        assert round_trip(client, broker, "LOGIN", unique, **LOGIN) == ["LOGIN"]

    assert len(caplog.text) > 1_000
    assert PASSWORD not in caplog.text


def test_tokens_open_a_listener_that_wants_them(client: str, broker: ManyListeners, unique: str) -> None:
    oauth = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
    endpoint = TokenEndpoint()
    endpoint.start()
    login = {
        **oauth,
        "sasl_oauth_token_url": endpoint.url,
        "sasl_oauth_client_id": CLIENT,
        "sasl_oauth_client_secret": SECRET,
    }
    try:
        assert round_trip(client, broker, "OAUTH", unique, **login) == ["OAUTH"]
        assert len(endpoint.asked) == 1  # all connections share it

        with pytest.raises(AccessDenied, match=rf"{endpoint.url} answers 401"):
            round_trip(client, broker, "OAUTH", unique, **{**login, "sasl_oauth_client_secret": "Mellon-7"})
        endpoint.answer = (200, {}, b'{"access_token": "not.for.you"}')
        with pytest.raises(AccessDenied, match="login is refused"):
            round_trip(client, broker, "OAUTH", unique, **login)
    finally:
        endpoint.stop()
    with pytest.raises(QueueUnreachable, match=rf"{endpoint.url} cannot be reached"):
        round_trip(client, broker, "OAUTH", unique, **login)

    named = {**oauth, "sasl_oauth_token_provider": f"{__name__}:Tokens"}
    assert round_trip(client, broker, "OAUTH", f"{unique}-named", **named) == ["OAUTH"]
