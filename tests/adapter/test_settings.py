from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from devservers.certificates import make_certificate
from estela_queue_adapter import (
    get_consumer_interface,
    get_producer_interface,
    get_queue_env_vars,
    open_platform,
    queue_noisy_libraries,
    registry,
)
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.settings import Arguments, Variables, read, read_setting, setting, settings_of
from estela_queue_adapter.subscription import Subscription

KAFKA = {"QUEUE_PLATFORM": "kafka", "QUEUE_PLATFORM_LISTENERS": "host"}


def kafka(**variables: str) -> KafkaSettings:
    return read(KafkaSettings, {f"QUEUE_PLATFORM_{name}": value for name, value in variables.items()}, {})


@pytest.mark.parametrize(
    ("listeners", "servers"),
    [
        ("a", ["a:9092"]),
        ("a, b", ["a:9092", "b:9092"]),
        ("a:1,b:2", ["a:1", "b:2"]),
        ("a:1,b", ["a:1", "b:9092"]),
        ("[::1]", ["[::1]:9092"]),
        ("[::1]:1", ["[::1]:1"]),
    ],
)
def test_listeners_share_a_port_or_have_their_own(listeners: str, servers: list[str]) -> None:
    assert kafka(LISTENERS=listeners).bootstrap_servers == servers


@pytest.mark.parametrize("listeners", [["a:1", "b"], ("a:1", "b")])
def test_listeners_in_code_may_be_a_list(listeners: Any) -> None:
    assert read(KafkaSettings, {}, {"listeners": listeners}).bootstrap_servers == ["a:1", "b:9092"]


@pytest.mark.parametrize("port", [1.5, True, "1.5", [1], {}, object()])
def test_a_number_that_is_not_whole_is_refused(port: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"port=: .* is not a whole number"):
        read(KafkaSettings, {}, {"listeners": "a", "port": port})


@pytest.mark.parametrize("listeners", [{"a": 1}, object, b"a"])
def test_what_no_variable_could_say_is_refused(listeners: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"listeners=: .* is not text"):
        read(KafkaSettings, {}, {"listeners": listeners})


@pytest.mark.parametrize("idle_timeout", ["nan", "inf", True])
def test_a_number_of_seconds_that_is_none_is_refused(idle_timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"idle_timeout=: .* is not a number"):
        read(Subscription, {}, {"topic": "t", "idle_timeout": idle_timeout})


def test_the_port_is_a_setting() -> None:
    assert kafka(LISTENERS="a,b:2", PORT="7").bootstrap_servers == ["a:7", "b:2"]


def test_arguments_win_over_variables_and_empty_counts_as_unset() -> None:
    environ = {"QUEUE_PLATFORM_LISTENERS": "a", "QUEUE_PLATFORM_PORT": ""}

    settings = read(
        KafkaSettings, environ, {"listeners": "b", "sasl_mechanism": None, "security_protocol": ""}
    )

    assert (settings.listeners, settings.port, settings.sasl_mechanism) == ("b", 9092, "")


def test_tls_and_sasl_reach_the_client(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path)

    options = kafka(
        LISTENERS="a", SECURITY_PROTOCOL="SASL_SSL", SASL_MECHANISM="PLAIN", SASL_USERNAME="me",
        SASL_PASSWORD="secret", SSL_CAFILE=str(certificate),
    ).client_options()  # fmt: skip

    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "PLAIN"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("me", "secret")
    assert options["ssl_cafile"] == str(certificate)


def test_secrets_are_in_no_repr() -> None:
    assert "secret" not in repr(kafka(LISTENERS="a", SASL_PASSWORD="secret"))


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"QUEUE_PLATFORM": "rabbit"}, "QUEUE_PLATFORM=rabbit.*embedded, kafka"),
        ({"QUEUE_PLATFORM": "kafka"}, "QUEUE_PLATFORM_LISTENERS is not set"),
        ({**KAFKA, "QUEUE_PLATFORM_LISTENERS": " , "}, "QUEUE_PLATFORM_LISTENERS names no broker"),
        ({**KAFKA, "QUEUE_PLATFORM_LISTENERS": "a:b"}, "in 'a:b': 'b' is not a port"),
        ({**KAFKA, "QUEUE_PLATFORM_LISTENERS": "a:99999"}, "'99999' is not a port"),
        ({**KAFKA, "QUEUE_PLATFORM_LISTENERS": "kafka://a:1"}, "'kafka://a' in 'kafka://a:1' is not a host"),
        ({**KAFKA, "QUEUE_PLATFORM_LISTENERS": ":1"}, "'' in ':1' is not a host"),
        ({**KAFKA, "QUEUE_PLATFORM_LISTENERS": "a b"}, "'a b' is not a host|'a b' in 'a b' is not a host"),
        ({**KAFKA, "QUEUE_PLATFORM_LISTENERS": "[::1"}, "not a port|not a host"),
        ({**KAFKA, "QUEUE_PLATFORM_PORT": "-1"}, "QUEUE_PLATFORM_PORT: '-1' is not a port"),
        ({**KAFKA, "QUEUE_PLATFORM_SSL_CAFILE": __file__}, "QUEUE_PLATFORM_SSL_CAFILE=.*no certificates"),
        ({**KAFKA, "QUEUE_PLATFORM_PORT": "nine"}, "QUEUE_PLATFORM_PORT: 'nine' is not a whole number"),
        (
            {**KAFKA, "QUEUE_PLATFORM_MAX_REQUEST_SIZE": "-5"},
            "QUEUE_PLATFORM_MAX_REQUEST_SIZE=-5 is less than",
        ),
        (
            {**KAFKA, "QUEUE_PLATFORM_FETCH_MAX_BYTES": "1000"},
            "QUEUE_PLATFORM_FETCH_MAX_BYTES=1000 must be between 65536 and 1073741824 bytes",
        ),
        ({**KAFKA, "QUEUE_PLATFORM_FETCH_MAX_BYTES": "1073741825"}, "must be between 65536 and 1073741824"),
        ({**KAFKA, "QUEUE_PLATFORM_FETCH_MAX_BYTES": "16M"}, "FETCH_MAX_BYTES: '16M' is not a whole number"),
        ({**KAFKA, "QUEUE_PLATFORM_SECURITY_PROTOCOL": "TLS"}, "SASL_PLAINTEXT, SASL_SSL"),
        ({**KAFKA, "QUEUE_PLATFORM_SASL_MECHANISM": "MD5"}, "SCRAM-SHA-256"),
        ({**KAFKA, "QUEUE_PLATFORM_SASL_MECHANISM": "PLAIN"}, "QUEUE_PLATFORM_SECURITY_PROTOCOL must be"),
        ({**KAFKA, "QUEUE_PLATFORM_COMPRESSION_TYPE": "zip"}, "gzip, snappy, lz4, zstd"),
        (
            {**KAFKA, "QUEUE_PLATFORM_SSL_CAFILE": "/no/such"},
            "QUEUE_PLATFORM_SSL_CAFILE=/no/such cannot be read",
        ),
    ],
)
def test_a_wrong_setting_names_the_variable_and_the_choices(variables: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        open_platform(environ=variables)


@pytest.mark.parametrize("topic", ["no such", "tö", "a/b", "..", "t" * 250])
def test_a_name_that_no_topic_can_have_is_refused_before_anything_is_asked(topic: str) -> None:
    platform = open_platform(environ=KAFKA)

    with pytest.raises(ConfigurationError, match="is not a name for a topic"):
        platform.consumer(Subscription(topic=topic))
    with pytest.raises(ConfigurationError, match="is not a name for a topic"):
        platform.producer().send(topic, 1)
    with pytest.raises(ConfigurationError, match="is not a name for a topic"):
        next(iter(platform.read(topic)))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("QUEUE_PLATFORM_LISTENER", "did you mean QUEUE_PLATFORM_LISTENERS?"),
        ("QUEUE_PLATFROM", "QUEUE_PLATFROM has no effect; did you mean QUEUE_PLATFORM?"),
        ("QUEUE_PLATFRM_PORT", "did you mean QUEUE_PLATFORM_PORT?"),
        ("queue_platform_port", "did you mean QUEUE_PLATFORM_PORT?"),
        ("QUEUE_PLATFORM_HOST", "QUEUE_PLATFORM_HOST has no effect: no setting is called that"),
        ("QUEUE_PLATFORMS", "did you mean QUEUE_PLATFORM?"),
        ("QUEUE_PLATFORM_FURLONGS_A_FORTNIGHT", "QUEUE_PLATFORM_FURLONGS_A_FORTNIGHT has no effect"),
    ],
)
def test_a_variable_that_nobody_reads_is_told_with_the_nearest(
    name: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_platform(environ={**KAFKA, name: "x"})

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert told in record.getMessage()


def test_the_settings_of_all_platforms_are_known_on_each(caplog: pytest.LogCaptureFixture) -> None:
    names = ("QUEUE_PLATFORM_LISTENER", "QUEUE_PLATFORM_LISTENERS", "QUEUE_PLATFORM_SSL_CAFILE_FILE", "PATH")

    open_platform("embedded", environ=dict.fromkeys(names, "x"))

    assert [record.getMessage() for record in caplog.records] == [
        "QUEUE_PLATFORM_LISTENER has no effect; did you mean QUEUE_PLATFORM_LISTENERS?",
        "QUEUE_PLATFORM_LISTENERS has no effect here: it is a setting of another platform",
        "QUEUE_PLATFORM_SSL_CAFILE_FILE has no effect here: it is a setting of another platform",
    ]


def test_no_other_platform_is_loaded_if_every_name_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "queue_variables", lambda: pytest.fail("it was asked for"))

    open_platform("embedded", environ={"QUEUE_PLATFORM_PATH": "q.db", "HOME": "x", "QUEUE_LENGTH": "1"})


def test_a_platform_that_cannot_be_loaded_does_no_harm_to_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = EntryPoint("broken", "no.such.module:Platform", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: (*entry_points(group=group), broken))
    registry.queue_variables.cache_clear()

    open_platform("embedded", environ={"QUEUE_PLATFORM_LISTENERS": "x"})
    registry.queue_variables.cache_clear()

    assert "it is a setting of another platform" in caplog.text


def test_an_unknown_argument_names_the_valid_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown argument hosts=.*listeners"):
        get_producer_interface(environ=KAFKA, hosts="a")


def test_a_consumer_needs_a_topic_and_takes_it_from_the_environment() -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_PLATFORM_TOPIC is not set"):
        get_consumer_interface(environ=KAFKA)

    variables = {**KAFKA, "QUEUE_PLATFORM_TOPIC": "items", "QUEUE_PLATFORM_MAX_TIMEOUT": "1.5"}
    consumer = get_consumer_interface(environ=variables)

    assert consumer.subscription == Subscription(topic="items", group="", max_timeout=1.5)
    assert consumer.subscription.group_id == "group_items"


def test_a_consumers_variables_do_not_break_a_producer() -> None:
    variables = {**KAFKA, "QUEUE_PLATFORM_TOPIC": "items", "QUEUE_PLATFORM_MAX_TIMEOUT": "soon"}

    get_producer_interface(environ=variables).close()


def test_a_misspelt_variable_is_told_with_what_was_meant(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        open_platform(environ={**KAFKA, "QUEUE_PLATFORM_LISTENER": "b", "QUEUE_PLATFORM_TOPIC": "t"})

    [record] = caplog.records
    assert "QUEUE_PLATFORM_LISTENER" in record.getMessage()
    assert "QUEUE_PLATFORM_LISTENERS" in record.getMessage()


def test_the_embedded_platform_is_announced_with_its_file(
    workdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    get_producer_interface().close()
    get_producer_interface().close()

    [record] = caplog.records
    assert str(workdir / ".estela" / "queue.db") in record.getMessage()


def test_estelas_names_work_as_its_code_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KAFKA.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UNRELATED", "x")

    assert get_queue_env_vars() == KAFKA
    assert "kafka" in queue_noisy_libraries


def test_a_third_partys_platform_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "carrier.py").write_text(
        textwrap.dedent("""
            from dataclasses import dataclass
            from estela_queue_adapter.platforms.embedded import EmbeddedPlatform

            @dataclass(frozen=True)
            class Settings:
                loft: str

            class PigeonPlatform(EmbeddedPlatform):
                settings_class = Settings
                def __init__(self, settings): self.loft = settings.loft
                def describe(self): return self.loft
        """)
    )
    info = tmp_path / "carrier-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[estela.queue_platforms]\npigeon = carrier:PigeonPlatform\n")
    monkeypatch.syspath_prepend(tmp_path)

    platform = open_platform(environ={"QUEUE_PLATFORM": "pigeon", "QUEUE_PLATFORM_LOFT": "north"})

    assert platform.describe() == "north"


SNIPPET = """\
from estela_queue_adapter import get_producer_interface, get_consumer_interface

producer = get_producer_interface()
consumer = get_consumer_interface(topic="people_topic")

producer.send("people_topic", {"name": "John", "lastname": "Doe"})
for message in consumer:
    print(message.value)
"""


@pytest.mark.processes
@pytest.mark.parametrize("platform", ["embedded", pytest.param("kafka", marks=pytest.mark.servers)])
def test_the_snippet_of_estelas_documentation_runs_as_printed(
    workdir: Path, platform: str, unique: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_PLATFORM_IDLE_TIMEOUT", "4")
    if platform == "kafka":
        monkeypatch.setenv("QUEUE_PLATFORM", "kafka")
        monkeypatch.setenv("QUEUE_PLATFORM_LISTENERS", request.getfixturevalue("kafka"))
        monkeypatch.setenv("QUEUE_PLATFORM_GROUP", unique)  # the topic may hold what an earlier run sent

    done = subprocess.run(
        [sys.executable, "-c", SNIPPET], capture_output=True, text=True, timeout=60, check=True
    )

    lines: list[Any] = done.stdout.splitlines()
    assert lines
    assert set(lines) == {"{'name': 'John', 'lastname': 'Doe'}"}


def as_given(name: str, given: Any) -> Any:
    return name, given


@dataclasses.dataclass(frozen=True)
class Sample:
    plain: tuple[str, Any] = dataclasses.field(metadata=setting(as_given, "the default"))
    stream: tuple[str, Any] = dataclasses.field(metadata=setting(as_given, "on", empty_counts=True))
    computed: int = 0


@pytest.mark.parametrize(
    ("arguments", "environ", "plain", "stream"),
    [
        ({}, {}, ("plain", "the default"), ("stream", "on")),
        ({}, {"X_PLAIN": "1", "X_STREAM": "1"}, ("X_PLAIN", "1"), ("X_STREAM", "1")),
        ({"plain": 2, "stream": 2}, {"X_PLAIN": "1", "X_STREAM": "1"}, ("plain=", 2), ("stream=", 2)),
        ({"plain": "", "stream": ""}, {"X_PLAIN": "1", "X_STREAM": "1"}, ("X_PLAIN", "1"), ("stream=", "")),
        ({"plain": None, "stream": None}, {"X_PLAIN": "", "X_STREAM": ""}, ("plain", "the default"),
         ("X_STREAM", "")),
        ({"plain": 0, "stream": False}, {}, ("plain=", 0), ("stream=", False)),
    ],
)  # fmt: skip
def test_the_first_source_with_a_value_wins_and_only_a_stream_may_be_empty(
    arguments: dict[str, Any], environ: dict[str, str], plain: tuple[str, Any], stream: tuple[str, Any]
) -> None:
    sources = (Arguments(arguments), Variables(environ, "X"))
    fields = settings_of(Sample)

    assert list(fields) == ["plain", "stream"]
    assert read_setting(fields["plain"], sources) == plain
    assert read_setting(fields["stream"], sources) == stream


def test_a_field_of_the_queues_may_say_how_it_is_read_too() -> None:
    settings = read(Sample, {"QUEUE_PLATFORM_PLAIN": "1", "QUEUE_PLATFORM_COMPUTED": "7"}, {})

    assert settings == Sample(("QUEUE_PLATFORM_PLAIN", "1"), ("stream", "on"), 7)
