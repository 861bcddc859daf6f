"""Settings whose value is in a file."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_queue_adapter import open_platform
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.files.values import hidden, value_of
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.settings import read

LISTENERS = {"QUEUE_PLATFORM_LISTENERS": "host"}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret", "secret"),
        (b" se cret \n\n", " se cret \n"),
        ("gehe\u00efm".encode(), "gehe\u00efm"),
    ],
)
def test_a_value_comes_from_a_file_without_its_line_end(tmp_path: Path, content: bytes, value: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    environ = {**LISTENERS, "QUEUE_PLATFORM_SASL_PASSWORD_FILE": str(tmp_path / "secret")}

    assert read(KafkaSettings, environ, {}).sasl_password == value


def test_every_setting_may_be_in_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "port").write_text("7\n")
    (tmp_path / "listeners").write_text("a,b\n")

    platform = open_platform(
        "kafka",
        environ={
            "QUEUE_PLATFORM_LISTENERS_FILE": str(tmp_path / "listeners"),
            "QUEUE_PLATFORM_PORT_FILE": str(tmp_path / "port"),
        },
    )

    assert platform.describe() == "Kafka at a:7,b:7"
    assert caplog.records == []  # they have an effect


def test_an_argument_wins_over_a_file(tmp_path: Path) -> None:
    environ = {"QUEUE_PLATFORM_SASL_PASSWORD_FILE": str(tmp_path / "no such file")}

    settings = read(KafkaSettings, environ, {"listeners": "a", "sasl_password": "mine"})

    assert settings.sasl_password == "mine"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "VALUE_FILE=.*secret cannot be read: No such file"),
        (b"", "VALUE_FILE=.*secret is empty"),
        (b"\n", "VALUE_FILE=.*secret is empty"),
        (b"Mellon-7\xff", "VALUE_FILE=.*not a file of UTF-8 text"),
        (b"Mellon-7" * 200_000, "VALUE_FILE=.*too large"),
    ],
)
def test_a_file_that_gives_no_value_is_told_without_it(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)

    with pytest.raises(ConfigurationError, match=told) as caught:
        value_of("VALUE", {"VALUE_FILE": str(tmp_path / "secret")})

    assert "Mellon" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        value_of("VALUE", {"VALUE_FILE": str(tmp_path)})


def test_a_value_and_its_file_together_are_refused_without_telling_either(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("Mellon-7")
    environ = {"VALUE": "Mellon-8", "VALUE_FILE": str(tmp_path / "secret")}

    with pytest.raises(ConfigurationError, match="VALUE and VALUE_FILE are both set") as caught:
        value_of("VALUE", environ)

    assert "Mellon" not in str(caught.value)


@given(st.text(st.characters(codec="utf-8"), max_size=50))
def test_any_path_that_leads_nowhere_is_told(path: str) -> None:
    with pytest.raises(ConfigurationError, match="VALUE_FILE"):
        value_of("VALUE", {"VALUE_FILE": f"/no/such/{path}"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECURITY_PROTOCOL", "Mellon-7"),
        ("SASL_MECHANISM", "Mellon-7"),
        ("PORT", "Mellon-7"),
        ("LISTENERS", "a:1,b:Mellon-7"),
        ("LISTENERS", "Mellon-7 and more:9092"),
        ("SSL_CAFILE", "/no/such/Mellon-7"),
        ("SESSION_TIMEOUT", "Mellon-7"),
        ("MAX_REQUEST_SIZE", "Mellon-7"),
        ("COMPRESSION_TYPE", "Mellon-7"),
        ("PARTITION_ASSIGNMENT", "Mellon-7"),
    ],
)
def test_no_error_quotes_a_value_that_came_from_a_file(name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(value)
    others = {} if name == "LISTENERS" else LISTENERS
    environ = {**others, f"QUEUE_PLATFORM_{name}_FILE": str(tmp_path / "secret")}

    with pytest.raises(ConfigurationError, match=f"QUEUE_PLATFORM_{name}") as caught:
        read(KafkaSettings, environ, {})

    assert "Mellon" not in str(caught.value)
    assert "Mellon" not in "".join(traceback.format_exception(caught.value))


@given(st.from_regex(r"[A-Z0-9!#%;|\\]{4,20}", fullmatch=True), st.sampled_from(["", "a:1,", "mongodb://u:"]))
def test_what_is_hidden_is_in_no_text(secret: str, before: str) -> None:
    shown = hidden(f"X={before}{secret} is not known: {secret!r}, {[secret]}", "VALUE", before + secret)

    assert secret not in shown
    assert "VALUE_FILE" in shown
