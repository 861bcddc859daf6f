"""TLS and a login, against a broker that insists on both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from estela_queue_adapter import Subscription, open_platform
from estela_queue_adapter.errors import AccessDenied, QueueUnreachable
from tests.adapter.contract import take
from tests.services.certificates import make_certificate
from tests.services.kafka import KafkaCluster
from tests.services.ports import free_port

PASSWORD = "open-sesame"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The settings that a client of such a broker needs."""
    folder, port = tmp_path_factory.mktemp("secure-kafka"), free_port()
    certificate, with_key = make_certificate(folder)
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    cluster = KafkaCluster(
        folder,
        more={
            "listeners": f"SECURE://localhost:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
            "listener.name.secure.ssl.keystore.type": "PEM",
            "listener.name.secure.ssl.keystore.location": str(with_key),
            "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.secure.plain.sasl.jaas.config": f'{login} user_crawler="{PASSWORD}";',
        },
    )
    try:
        cluster.start()
        yield {
            "platform": "kafka",
            "listeners": f"localhost:{port}",
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "crawler",
            "sasl_password": PASSWORD,
            "ssl_cafile": str(certificate),
        }
    finally:
        cluster.stop()


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
