"""librdkafka keeps the contract of a platform."""

from __future__ import annotations

import configparser
import itertools
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer

from devservers.kafka import create_topic
from devservers.ports import wait_until
from estela_queue_adapter import Platform, open_platform
from estela_queue_adapter.errors import ConfigurationError, QueueError
from estela_queue_adapter.platforms.kafka.connections import logins
from estela_queue_adapter.platforms.kafka.librdkafka import installation, options
from estela_queue_adapter.platforms.kafka.librdkafka.log import LogLines
from tests.adapter.kafka.test_kafka import KafkaContract, Member
from tests.adapter.sending_contract import Item, Told

ROOT = Path(__file__).parents[3]


@pytest.fixture
def arguments(kafka: str) -> dict[str, Any]:
    return {"platform": "kafka", "listeners": kafka, "client": "librdkafka"}


@pytest.fixture
def platform(arguments: dict[str, Any]) -> Platform:
    return open_platform(**arguments)


class TestLibrdkafka(KafkaContract):
    pass


@pytest.mark.parametrize("assignment", ["range", "roundrobin", "cooperative-sticky"])
def test_both_clients_share_one_group(arguments: dict[str, Any], unique: str, assignment: str) -> None:
    platforms = [
        open_platform(**{**arguments, "client": client}, partition_assignment=assignment)
        for client in ("kafka-python", "librdkafka")
    ]
    create_topic(arguments["listeners"], unique, 4)
    first, second = Member(platforms[0], unique), None
    try:
        wait_until(lambda: len(first.owned) == 4, "all partitions for the first")
        second = Member(platforms[1], unique)
        wait_until(lambda: [len(first.owned), len(second.owned)] == [2, 2], "two partitions for each")
        with platforms[1].producer() as producer:
            for number in range(200):
                producer.send(unique, number, key=b"%d" % number)
            producer.flush()
        wait_until(lambda: len(first.read) + len(second.read) == 200, "all messages")
        first.close()
        wait_until(lambda: len(second.owned) == 4, "all partitions for the second")
    finally:
        for member in filter(None, (first, second)):
            member.close()

    assert sorted(message.value for message in first.read + second.read) == list(range(200))


def test_an_extra_that_is_not_installed_is_said_with_how_to_install_it(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'estela-scrapy\[librdkafka\]'$"):
        open_platform(**arguments)
    monkeypatch.setattr(installation, "distribution", lambda name: name)  # both are there
    with pytest.raises(ConfigurationError, match=r"pip install 'estela-consumer\[librdkafka\]'$"):
        open_platform(**arguments)


@pytest.mark.parametrize("version", ["1.9.2", "2.12.0", "2.16", "2.16.1", "3.0.0rc1"])
def test_a_librdkafka_that_does_not_work_is_said_with_how_to_install_another(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(installation, "version", lambda _: version)

    with pytest.raises(ConfigurationError, match=rf"and {version} is installed: pip install"):
        open_platform(**arguments)


def test_the_versions_that_work_are_those_of_the_extra() -> None:
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    lowest, below = (".".join(map(str, numbers)) for numbers in (installation.LOWEST, installation.BELOW))

    extra = parsed["options.extras_require"]["librdkafka"]
    assert extra.strip() == f"confluent-kafka >= {lowest}, < {below}"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"sasl_mechanism": "AWS_MSK_IAM", "security_protocol": "SASL_SSL"},
            "QUEUE_PLATFORM_SASL_MECHANISM=AWS_MSK_IAM cannot be had with QUEUE_PLATFORM_CLIENT=librdkafka",
        ),
        (
            {"sasl_kerberos_domain_name": "example.org"},
            "QUEUE_PLATFORM_SASL_KERBEROS_DOMAIN_NAME=example.org cannot be had",
        ),
    ],
)
def test_a_setting_that_librdkafka_cannot_follow_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(logins, "_is_installed", lambda _: True)

    with pytest.raises(ConfigurationError, match=told):
        open_platform("kafka", listeners="host", client="librdkafka", **settings)


def test_what_a_build_of_librdkafka_lacks_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given that every build has all compressions: one that none has, in place of zstd."""
    monkeypatch.setitem(options._FEATURES["compression_type"], "zstd", "sasl_gssapi")

    with pytest.raises(ConfigurationError, match=r"COMPRESSION_TYPE=zstd cannot be had .*not available"):
        open_platform("kafka", listeners="host", client="librdkafka", compression_type="zstd")


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_both_clients_send_the_same_records(arguments: dict[str, Any], unique: str, compression: str) -> None:
    """Read by kafka-python itself: keys to the same partitions, the same bytes, the same kind of time."""
    headers = [("plain", b"1"), ("empty", b""), ("none", None), ("été", b"\xff"), ("plain", b"2")]
    create_topic(arguments["listeners"], f"{unique}-a", 4)
    create_topic(arguments["listeners"], f"{unique}-b", 4)
    sent = {}
    for topic, client in ((f"{unique}-a", "kafka-python"), (f"{unique}-b", "librdkafka")):
        platform = open_platform(**{**arguments, "client": client}, compression_type=compression)
        with platform.producer() as producer:
            for number in range(50):
                producer.send(topic, {"n": number, "é": None}, key=b"key %d" % number, headers=headers)
        reader = KafkaConsumer(
            topic, bootstrap_servers=arguments["listeners"], auto_offset_reset="earliest", group_id=None
        )
        records = list(itertools.islice(reader, 50))
        reader.close()
        sent[client] = sorted(
            (each.partition, each.offset, each.key, each.value, each.headers, each.timestamp_type)
            for each in records
        )

    assert sent["librdkafka"] == sent["kafka-python"]


@pytest.mark.parametrize("name", ["soci\udce9t\udce9", "a\0b"])
def test_headers_that_librdkafka_cannot_take_keep_their_place(
    platform: Platform, unique: str, name: str
) -> None:
    plain = [("plain", b"1")]
    with platform.producer() as producer:
        for number, headers in enumerate((plain, [(name, b"x")], plain)):
            producer.send(unique, number, key=b"one partition", headers=headers)
        producer.flush()

    read = list(platform.read(unique))

    assert [message.value for message in read] == [0, 1, 2]
    assert list(read[1].headers) == [(name, b"x")]


def test_log_lines_of_librdkafka_go_through_logging_and_are_printable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "librdkafka")

    LogLines().log(logging.WARNING, "%s [%s] %s", "CONFWARN", "rdkafka#1", "\x1b[31m of a broker")
    LogLines().log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#1", "Connection refused")

    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "CONFWARN [rdkafka#1] \\x1b[31m of a broker"),
        ("DEBUG", "FAIL [rdkafka#1] Connection refused"),
    ]


def test_a_callback_that_fails_costs_no_other_its_call(
    platform: Platform, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    told, reports = Told(), list[QueueError | None]()

    def fails(*_: Any) -> None:
        raise ValueError("of the callback")

    def has_reports(count: int) -> bool:
        return len(reports) == count

    with platform.producer() as producer:
        producer.send(unique, 0)
        producer.flush()
        for number in range(20):
            producer.send(unique, number, on_delivery=reports.append if number % 2 else fails)
            wait_until(partial(has_reports, (number + 1) // 2), "the reports so far")
        producer.send_all([Item(unique, b"1")], fails)
        producer.send_all([Item(unique, b"2")], told)
        wait_until(lambda: len(told.outcomes) == 1, "what is told of the second")

    assert caplog.text.count("ValueError: of the callback") == 11
