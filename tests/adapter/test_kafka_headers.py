"""Headers that kafka-python's producer has no words for, on real Kafka."""

from __future__ import annotations

import pytest

from devservers.kafka import create_topic
from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.messages import Headers
from estela_queue_adapter.platforms.kafka.records.headers import sendable

ODD: Headers = [(b"soci\xe9t\xe9".decode(errors="surrogateescape"), b"x"), ("none", None), ("", b"")]


def test_a_batch_that_a_topic_finds_too_large_is_sent_in_parts_whatever_its_headers_are(
    kafka: str, unique: str
) -> None:
    create_topic(kafka, unique, 1, {"max.message.bytes": "3000"})
    platform = open_platform("kafka", listeners=kafka)
    reports: list[object] = []
    with platform.producer() as producer:
        for number in range(40):
            data = b"%d" % number + b"x" * 600
            producer.send(unique, data, key=b"k", headers=ODD, on_delivery=reports.append)

        producer.flush(30.0)

    messages = list(platform.read(unique))
    assert reports == [None] * 40
    assert [int((message.data or b"").rstrip(b"x")) for message in messages] == list(range(40))
    assert all(list(message.headers) == ODD and message.key == b"k" for message in messages)


def test_a_name_that_is_no_text_at_all_is_refused_when_it_is_sent() -> None:
    with pytest.raises(SerializationError, match="no text"):
        sendable([("\ud800", b"")])
